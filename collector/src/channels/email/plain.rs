//! The mail as text, for terminals and for those who turn HTML off.
//!
//! Owns the layout in 78 columns. Addresses of the web are never broken: they would not work.

use super::report::{Event, Fact, Item, Report};

/// RFC 5322 asks for lines of at most 78 characters.
const COLUMNS: usize = 78;

/// Where values stand.
const INDENT: usize = 14;

/// The text of a mail, lines ended by LF.
pub(super) fn text(report: &Report) -> String {
    let mut sheet = Vec::new();
    wrapped(&format!("{}: {}", report.badge, report.title), "", "", &mut sheet);
    wrapped(&report.matter, "", "", &mut sheet);
    if !report.summary.is_empty() {
        sheet.push(String::new());
        wrapped(&report.summary, "", "", &mut sheet);
    }
    for note in &report.notes {
        sheet.push(String::new());
        wrapped(note, "! ", "  ", &mut sheet);
    }
    if !report.facts.is_empty() {
        sheet.push(String::new());
        report.facts.iter().for_each(|fact| add_fact(fact, &mut sheet));
    }
    report.items.iter().for_each(|item| add_item(item, &mut sheet));
    if report.n_more > 0 {
        sheet.push(String::new());
        sheet.push(format!("... and {} more", report.n_more));
    }
    if !report.events.is_empty() {
        sheet.extend([String::new(), "Latest events (UTC)".to_owned()]);
        report.events.iter().for_each(|event| add_event(event, &mut sheet));
    }
    if !report.description.is_empty() {
        sheet.push(String::new());
        report.description.lines().for_each(|line| wrapped(line, "", "", &mut sheet));
    }
    if !report.links.is_empty() {
        sheet.push(String::new());
        let lines = report.links.iter().map(|link| format!("{:<INDENT$}{}", link.label, link.url));
        sheet.extend(lines);
    }
    // What stands below these dashes mail programs show as a signature.
    sheet.extend([String::new(), "-- ".to_owned()]);
    report.footer.iter().for_each(|line| wrapped(line, "", "", &mut sheet));
    sheet.join("\n") + "\n"
}

fn add_fact(fact: &Fact, sheet: &mut Vec<String>) {
    let blank = " ".repeat(INDENT);
    wrapped(&fact.value, &format!("{:<INDENT$}", fact.label), &blank, sheet);
    if let Some(share) = fact.bar {
        sheet.push(format!("{blank}[{}]", bar(share)));
    }
}

fn add_item(item: &Item, sheet: &mut Vec<String>) {
    sheet.push(String::new());
    wrapped(&format!("{}: {}", item.badge, item.title), "* ", "  ", sheet);
    wrapped(&item.matter, "  ", "  ", sheet);
    wrapped(&item.details, "  ", "  ", sheet);
    sheet.extend(item.link.iter().map(|url| format!("  {url}")));
}

fn add_event(event: &Event, sheet: &mut Vec<String>) {
    wrapped(&format!("{}: {}", event.head, event.message), "  ", "    ", sheet);
    if !event.ids.is_empty() {
        wrapped(&event.ids, "    ", "    ", sheet);
    }
}

/// 30 marks, as many filled as there is budget left.
fn bar(share: f64) -> String {
    let n_filled = (share.clamp(0.0, 1.0) * 30.0).round() as usize;
    format!("{}{}", "#".repeat(n_filled), "-".repeat(30 - n_filled))
}

/// Lines of at most [`COLUMNS`], broken between words, and inside a word that has no room on a line of its own.
fn wrapped(text: &str, first: &str, later: &str, sheet: &mut Vec<String>) {
    let room = COLUMNS - later.chars().count();
    let mut line = first.to_owned();
    let (mut n_line, mut is_fresh) = (first.chars().count(), true);
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let mut word: Vec<char> = word.chars().collect();
        if !is_fresh && n_line + 1 + word.len() > COLUMNS {
            sheet.push(std::mem::replace(&mut line, later.to_owned()));
            (n_line, is_fresh) = (COLUMNS - room, true);
        }
        if !is_fresh {
            line.push(' ');
            n_line += 1;
        }
        while n_line + word.len() > COLUMNS {
            let rest = word.split_off(COLUMNS - n_line);
            line.extend(word);
            word = rest;
            sheet.push(std::mem::replace(&mut line, later.to_owned()));
            n_line = COLUMNS - room;
        }
        n_line += word.len();
        line.extend(word);
        is_fresh = false;
    }
    if !is_fresh {
        sheet.push(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_or_inside_one_that_has_no_room() {
        let mut sheet = Vec::new();
        wrapped(&"word ".repeat(30), "* ", "  ", &mut sheet);
        assert!(sheet.len() == 2 && sheet[1].starts_with("  word"), "{sheet:?}");
        assert!(sheet.iter().all(|line| line.chars().count() <= COLUMNS));
        sheet.clear();
        wrapped(&format!("a {} b", "ä".repeat(200)), "- ", "  ", &mut sheet);
        let lengths: Vec<usize> = sheet.iter().map(|line| line.chars().count()).collect();
        assert_eq!(lengths, [3, 78, 78, 52]);
        sheet.clear();
        wrapped("  ", "- ", "  ", &mut sheet);
        assert!(sheet.is_empty(), "nothing is no line");
    }

    #[test]
    fn a_bar_shows_what_is_left_whatever_it_is_given() {
        for (share, n) in [(0.874, 26), (1.0, 30), (7.0, 30), (0.0, 0), (-2.0, 0)] {
            assert_eq!(bar(share).matches('#').count(), n, "{share}");
            assert_eq!(bar(share).len(), 30);
        }
    }
}
