//! A Slack message as readable text.
//!
//! Owns the look of messages on a terminal and in golden files. Works on the JSON that was sent, so it shows what a
//! recording receiver got. Never used on the way to Slack.

use serde_json::Value;

/// The blocks of a payload as text: headers with `#`, fields side by side, what stands beside the colour with `▌`.
pub fn preview(payload: &Value) -> String {
    let mut lines = Vec::new();
    show_blocks(&payload["blocks"], "", &mut lines);
    for attachment in array(&payload["attachments"]) {
        show_blocks(&attachment["blocks"], "▌ ", &mut lines);
    }
    if lines.is_empty() {
        lines.extend(plain(&payload["text"]));
    }
    lines.join("\n") + "\n"
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn show_blocks(blocks: &Value, bar: &str, lines: &mut Vec<String>) {
    for block in array(blocks) {
        let lead = if block["type"] == "header" { "# " } else { bar };
        let texts = plain(&block["text"]["text"]);
        let elements = array(&block["elements"]).iter().flat_map(|text| plain(&text["text"]));
        lines.extend(texts.into_iter().chain(elements).map(|line| format!("{lead}{line}")));
        for field in array(&block["fields"]) {
            lines.push(format!("{bar}  {}", plain(&field["text"]).join(": ")));
        }
    }
}

/// The lines of one text object, its markup taken away.
fn plain(text: &Value) -> Vec<String> {
    text.as_str().unwrap_or_default().lines().map(plain_line).collect()
}

fn plain_line(line: &str) -> String {
    let mut shown = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('<') {
        let Some((markup, after)) = after.split_once('>') else { break };
        shown.push_str(before);
        shown.push_str(&plain_markup(markup));
        rest = after;
    }
    shown.push_str(rest);
    let shown = shown.replace(['*', '`'], "");
    shown.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

/// What stands for `<…>`: a date's fallback, a link's text and address.
fn plain_markup(markup: &str) -> String {
    match markup.split_once('|') {
        Some((date, fallback)) if date.starts_with("!date^") => {
            let ago = if date.contains("{ago}") { " (… ago)" } else { "" };
            format!("{fallback}{ago}")
        }
        Some((url, label)) => format!("{label} ({url})"),
        None => markup.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::payload::{Look, message};
    use super::*;
    use crate::channels::samples;
    use watchkeeper_collector_core::notify::{Action, Notification};

    fn shown(told: &Notification) -> String {
        preview(&serde_json::to_value(message(told, &Look::default())).unwrap())
    }

    #[test]
    fn messages_read_as_the_golden_files_show() {
        let mut closed_here = samples::slo_page();
        closed_here.action = Action::Close;
        closed_here.reason = "routed to receiver oncall".into();
        for (name, told, golden) in [
            ("slo_page", samples::slo_page(), include_str!("golden/slo_page.txt")),
            ("slo_update", samples::slo_update(), include_str!("golden/slo_update.txt")),
            ("slo_close", samples::slo_close(), include_str!("golden/slo_close.txt")),
            ("closed_here", closed_here, include_str!("golden/closed_here.txt")),
            ("rule_page", samples::rule_page(), include_str!("golden/rule_page.txt")),
            ("group", samples::group(13), include_str!("golden/group.txt")),
        ] {
            let shown = shown(&told);
            assert_eq!(shown, golden, "golden/{name}.txt should now read:\n{shown}");
        }
    }

    #[test]
    fn a_payload_of_text_alone_is_shown_too() {
        assert_eq!(
            preview(&serde_json::json!({"text": "hello &amp; <https://a|b>"})),
            "hello & b (https://a)\n"
        );
        assert_eq!(preview(&Value::Null), "\n");
    }
}
