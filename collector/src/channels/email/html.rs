//! The mail as HTML, for telephones and desks, by day and by night.
//!
//! Owns one column of at most 600 points, styles that stand beside each element because many mail programs drop others,
//! and a short sheet for dark screens for those that don't. No picture, no script, nothing that is loaded. Everything
//! foreign passes `escape`.

use std::fmt::Write as _;

use watchkeeper_model::Severity;

use super::report::{Event, Fact, Item, Link, Report, Tone};

const FONT: &str =
    "font-family:-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,Helvetica,Arial,sans-serif";
const MONO: &str = "font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace";

/// Words too long for the screen are broken: nothing is ever wider than it.
const BREAK: &str = "word-break:break-word;overflow-wrap:anywhere";

/// For programs that know of dark screens; the colours beside the elements are those for light ones.
const SHEET: &str = "\
:root{color-scheme:light dark;supported-color-schemes:light dark}\
@media (prefers-color-scheme:dark){\
.page{background:#101418!important}\
.card{background:#1b2127!important;border-right-color:#333c45!important;border-bottom-color:#333c45!important;border-left-color:#333c45!important}\
.ink{color:#e8ecf0!important}\
.dim{color:#9ba7b3!important}\
.soft{background:#242c34!important}\
.note{background:#3a2f12!important;border-color:#8a6d1a!important;color:#f3e3b3!important}\
.plainlink{color:#8ab4f8!important}\
}";

/// The page of a mail.
pub(super) fn page(report: &Report) -> String {
    let color = color(report.tone);
    let title = escape(&report.title);
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"supported-color-schemes\" content=\"light dark\">\n\
         <title>{title}</title>\n<style>{SHEET}</style>\n</head>\n\
         <body class=\"page\" style=\"margin:0;padding:0;background:#f2f4f6;{FONT}\">\n\
         <div style=\"display:none;max-height:0;overflow:hidden\">{}</div>\n\
         <table role=\"presentation\" class=\"page\" width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" \
         style=\"background:#f2f4f6\"><tr><td align=\"center\" style=\"padding:12px 8px\">\n\
         <table role=\"presentation\" class=\"card\" width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" \
         style=\"max-width:600px;background:#ffffff;border:1px solid #dde2e7;border-radius:8px;\
         border-top:6px solid {color}\">\n<tr><td align=\"left\" style=\"padding:18px 20px\">\n",
        escape(&report.opening()),
    );
    head(report, color, &mut out);
    for note in &report.notes {
        let note = escape(note);
        let _ = writeln!(
            out,
            "<p class=\"note\" style=\"margin:14px 0 0;padding:9px 12px;background:#fff6dd;\
             border-left:4px solid #e0a800;color:#5c4700;font-size:14px;line-height:20px;{BREAK}\">\
             {note}</p>"
        );
    }
    facts(&report.facts, &mut out);
    report.items.iter().for_each(|item| listed(item, &mut out));
    if report.n_more > 0 {
        paragraph(&format!("… and {} more", report.n_more), "dim", "#5f6b76", &mut out);
    }
    events(&report.events, &mut out);
    if !report.description.is_empty() {
        let text = escape(&report.description).replace('\n', "<br>");
        paragraph(&text, "ink", "#1f2933", &mut out);
    }
    links(&report.links, color, &mut out);
    footer(&report.footer, &mut out);
    out.push_str("</td></tr></table>\n</td></tr></table>\n</body>\n</html>\n");
    out
}

fn head(report: &Report, color: &str, out: &mut String) {
    let _ = writeln!(
        out,
        "{}\n<h1 class=\"ink\" style=\"margin:10px 0 0;font-size:21px;line-height:27px;\
         font-weight:700;color:#1f2933;{BREAK}\">{}</h1>",
        badge(&report.badge, color, 13),
        escape(&report.title)
    );
    for (text, weight) in [(&report.summary, "600"), (&report.matter, "400")] {
        if !text.is_empty() {
            let _ = writeln!(
                out,
                "<p class=\"ink\" style=\"margin:6px 0 0;font-size:16px;line-height:23px;\
                 font-weight:{weight};color:#1f2933;{BREAK}\">{}</p>",
                escape(text)
            );
        }
    }
}

fn badge(word: &str, color: &str, size: u8) -> String {
    format!(
        "<span style=\"display:inline-block;padding:3px 9px;border-radius:4px;background:{color};\
         color:#ffffff;font-size:{size}px;line-height:18px;font-weight:700;letter-spacing:.04em\">\
         {}</span>",
        escape(word)
    )
}

/// Text that is escaped already.
fn paragraph(html: &str, class: &str, color: &str, out: &mut String) {
    let _ = writeln!(
        out,
        "<p class=\"{class}\" style=\"margin:16px 0 0;font-size:15px;line-height:22px;\
         color:{color};{BREAK}\">{html}</p>"
    );
}

fn facts(facts: &[Fact], out: &mut String) {
    if facts.is_empty() {
        return;
    }
    out.push_str(
        "<table role=\"presentation\" width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" \
         style=\"margin:16px 0 0\">\n",
    );
    for fact in facts {
        let bar = fact.bar.map(bar).unwrap_or_default();
        let _ = writeln!(
            out,
            "<tr><td class=\"dim\" width=\"92\" valign=\"top\" style=\"padding:3px 10px 3px 0;\
             font-size:13px;line-height:21px;color:#5f6b76;white-space:nowrap\">{}</td>\
             <td class=\"ink\" valign=\"top\" style=\"padding:3px 0;font-size:15px;\
             line-height:21px;color:#1f2933;{BREAK}\">{}{bar}</td></tr>",
            fact.label,
            glued(&escape(&fact.value))
        );
    }
    out.push_str("</table>\n");
}

/// What is left of the budget, green to red.
fn bar(share: f64) -> String {
    let percent = (share.clamp(0.0, 1.0) * 100.0).round() as u32;
    let color = match percent {
        50.. => "#2e7d32",
        20.. => "#b26a00",
        _ => "#c62828",
    };
    format!(
        "<div class=\"soft\" style=\"margin:5px 0 4px;height:8px;border-radius:4px;\
         background:#e3e7eb;overflow:hidden\"><div style=\"width:{percent}%;height:8px;\
         background:{color}\"></div></div>"
    )
}

fn listed(item: &Item, out: &mut String) {
    let color = color(item.tone);
    let title = escape(&item.title);
    let title = match &item.link {
        Some(url) => anchor(url, &title),
        None => title,
    };
    let _ = writeln!(
        out,
        "<div class=\"soft\" style=\"margin:12px 0 0;padding:10px 12px;border-radius:6px;\
         background:#f6f8fa;border-left:4px solid {color}\">\
         <div class=\"ink\" style=\"font-size:15px;line-height:22px;font-weight:600;color:#1f2933;\
         {BREAK}\">{} {title}</div>\
         <div class=\"ink\" style=\"margin:3px 0 0;font-size:15px;line-height:21px;color:#1f2933;\
         {BREAK}\">{}</div>\
         <div class=\"dim\" style=\"margin:3px 0 0;font-size:13px;line-height:19px;color:#5f6b76;\
         {BREAK}\">{}</div></div>",
        badge(&item.badge, color, 11),
        escape(&item.matter),
        escape(&item.details)
    );
}

fn events(events: &[Event], out: &mut String) {
    if events.is_empty() {
        return;
    }
    out.push_str(
        "<p class=\"dim\" style=\"margin:18px 0 0;font-size:13px;line-height:19px;color:#5f6b76\">\
         Latest events (UTC)</p>\n",
    );
    for event in events {
        let ids = match event.ids.as_str() {
            "" => String::new(),
            ids => {
                format!("<br><span class=\"dim\" style=\"color:#5f6b76\">{}</span>", escape(ids))
            }
        };
        let _ = writeln!(
            out,
            "<div class=\"soft ink\" style=\"margin:6px 0 0;padding:8px 10px;border-radius:6px;\
             background:#f6f8fa;color:#1f2933;font-size:13px;line-height:19px;{MONO};{BREAK}\">\
             <span class=\"dim\" style=\"color:#5f6b76\">{}</span><br>{}{ids}</div>",
            escape(&event.head),
            escape(&event.message)
        );
    }
}

/// The first as a button, since that is where one goes, the others beside it.
fn links(links: &[Link], color: &str, out: &mut String) {
    if links.is_empty() {
        return;
    }
    out.push_str("<p style=\"margin:20px 0 0;font-size:15px;line-height:36px\">");
    for (n, link) in links.iter().enumerate() {
        if n == 0 {
            let _ = write!(
                out,
                "<a href=\"{}\" style=\"display:inline-block;padding:6px 16px;margin:0 14px 0 0;\
                 border-radius:5px;background:{color};color:#ffffff;font-weight:600;\
                 line-height:22px;text-decoration:none\">{}</a>",
                escape(&link.url),
                link.label
            );
        } else {
            let _ = write!(
                out,
                "<span style=\"white-space:nowrap;margin:0 14px 0 0\">{}</span> ",
                anchor(&link.url, link.label)
            );
        }
    }
    out.push_str("</p>\n");
}

/// `label` is escaped already.
fn anchor(url: &str, label: &str) -> String {
    format!("<a class=\"plainlink\" href=\"{}\" style=\"color:#1259b8\">{label}</a>", escape(url))
}

fn footer(lines: &[String], out: &mut String) {
    let lines: Vec<String> = lines.iter().map(|line| escape(line)).collect();
    let _ = writeln!(
        out,
        "<p class=\"dim\" style=\"margin:20px 0 0;font-size:12px;line-height:18px;color:#5f6b76;\
         {BREAK}\">{}</p>",
        lines.join("<br>")
    );
}

/// Dark enough for white letters on them.
const fn color(tone: Tone) -> &'static str {
    match tone {
        Tone::Firing(Severity::Critical) => "#c62828",
        Tone::Firing(Severity::Error) => "#c2410c",
        Tone::Firing(Severity::Warning) => "#946200",
        Tone::Firing(Severity::Info) => "#1565c0",
        Tone::Resolved => "#2e7d32",
        Tone::Closed => "#616161",
    }
}

/// Short words in brackets stay on one line: `(4m 12s)`.
fn glued(escaped: &str) -> String {
    let mut out = String::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some((before, after)) = rest.split_once('(') {
        out.push_str(before);
        out.push('(');
        rest = after;
        if let Some((inside, after)) = after.split_once(')').filter(|(inside, _)| inside.len() < 14)
        {
            out.push_str(&inside.replace(' ', "&nbsp;"));
            rest = &rest[rest.len() - after.len() - 1..];
        }
    }
    out + rest
}

/// Foreign text, in an element or between double quotes.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + text.len() / 8);
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}
