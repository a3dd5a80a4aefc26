//! Slack's markup: escaping, links, dates, blocks.
//!
//! Owns what may stand in a text object and how long it may get. Never knows what an alert is.

use serde::Serialize;
use watchkeeper_model::Timestamp;

use crate::channels::text;

/// A header: Slack allows 150.
pub(super) const MAX_HEADER_CHARS: usize = 148;

/// All blocks together: 9 600 were seen accepted, 11 300 refused.
pub(super) const MAX_MESSAGE_CHARS: usize = 9_000;

/// Slack allows 50.
pub(super) const MAX_BLOCKS: usize = 45;

/// The body of the POST.
#[derive(Debug, Default, Serialize)]
pub(super) struct Message {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) channel: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) icon_emoji: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) icon_url: Option<String>,
    /// The message to change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ts: Option<String>,
    /// The message to answer in its thread.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) thread_ts: Option<String>,
    /// Whether an answer shows in the channel too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reply_broadcast: Option<bool>,
    /// What push notifications and screen readers get.
    pub(super) text: String,
    pub(super) blocks: Vec<Block>,
    /// Slack may fold attachments: only what is good to know besides stands here, beside the colour.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) attachments: Vec<Attachment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) unfurl_links: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) unfurl_media: Option<bool>,
}

/// Blocks beside a coloured bar.
#[derive(Debug, Serialize)]
pub(super) struct Attachment {
    pub(super) color: &'static str,
    pub(super) blocks: Vec<Block>,
}

/// One block.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Block {
    Header {
        text: Text,
    },
    Section {
        #[serde(skip_serializing_if = "Option::is_none")]
        text: Option<Text>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        fields: Vec<Text>,
        /// Nobody should have to unfold a page.
        expand: bool,
    },
    Context {
        elements: Vec<Text>,
    },
}

/// A text object. `verbatim` keeps Slack from turning `@here` and `#general` of foreign text into links.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Text {
    PlainText { text: String, emoji: bool },
    Mrkdwn { text: String, verbatim: bool },
}

impl Text {
    pub(super) const fn mrkdwn(text: String) -> Self {
        Self::Mrkdwn { text, verbatim: true }
    }

    fn n_chars(&self) -> usize {
        match self {
            Self::PlainText { text, .. } | Self::Mrkdwn { text, .. } => text.chars().count(),
        }
    }
}

impl Block {
    /// Plain text, so `<` and `>` are shown as their look-alikes instead of being escaped.
    pub(super) fn header(text: &str) -> Self {
        let text = text::line(text, MAX_HEADER_CHARS).replace('<', "‹").replace('>', "›");
        Self::Header { text: Text::PlainText { text, emoji: true } }
    }

    pub(super) fn section(text: String) -> Self {
        Self::Section { text: Some(Text::mrkdwn(text)), fields: Vec::new(), expand: true }
    }

    /// At most ten, as Slack allows.
    pub(super) fn fields(fields: Vec<String>) -> Self {
        let fields = fields.into_iter().take(10).map(Text::mrkdwn).collect();
        Self::Section { text: None, fields, expand: true }
    }

    pub(super) fn context(text: String) -> Self {
        Self::Context { elements: vec![Text::mrkdwn(text)] }
    }

    pub(super) fn n_chars(&self) -> usize {
        match self {
            Self::Header { text } => text.n_chars(),
            Self::Section { text, fields, .. } => {
                text.iter().chain(fields).map(Text::n_chars).sum()
            }
            Self::Context { elements } => elements.iter().map(Text::n_chars).sum(),
        }
    }
}

/// Blocks within what Slack takes.
pub(super) struct Sheet {
    pub(super) blocks: Vec<Block>,
    pub(super) left_chars: usize,
}

impl Sheet {
    pub(super) const fn new(left_chars: usize) -> Self {
        Self { blocks: Vec::new(), left_chars }
    }

    /// Adds a block if it fits; says whether it did.
    pub(super) fn add(&mut self, block: Block) -> bool {
        let n_chars = block.n_chars();
        let fits = n_chars > 0 && n_chars <= self.left_chars && self.blocks.len() < MAX_BLOCKS;
        if fits {
            self.left_chars -= n_chars;
            self.blocks.push(block);
        }
        fits
    }

    pub(super) fn add_text(&mut self, text: String) -> bool {
        self.add(Block::section(text))
    }
}

/// Foreign text on one line, escaped, at most `max_chars` long after escaping.
pub(super) fn line(foreign: &str, max_chars: usize) -> String {
    escape(&text::line(foreign, max_chars), max_chars)
}

/// Foreign text with its line breaks, escaped, at most `max_chars` long after escaping.
pub(super) fn paragraph(foreign: &str, max_chars: usize) -> String {
    escape(&text::paragraph(foreign, max_chars), max_chars)
}

/// Foreign text as code on one line; "" stays "".
pub(super) fn code(foreign: &str, max_chars: usize) -> String {
    let inner = line(&foreign.replace('`', "ʼ"), max_chars);
    if inner.is_empty() { inner } else { format!("`{inner}`") }
}

/// Escapes what Slack reads as markup; what would not fit ends in `…`, never in half an entity.
fn escape(text: &str, max_chars: usize) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut n_chars = 0;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let mut utf8 = [0; 4];
        let part = match c {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            c => c.encode_utf8(&mut utf8),
        };
        let n_part = if c.is_ascii() { part.len() } else { 1 };
        let n_reserved = usize::from(chars.peek().is_some());
        if n_chars + n_part + n_reserved > max_chars {
            escaped.push('…');
            break;
        }
        escaped.push_str(part);
        n_chars += n_part;
    }
    escaped
}

/// A link, if `url` is an address of the web; otherwise only its text. Both are foreign.
pub(super) fn link(url: &str, label: &str) -> String {
    let label = line(label, 120).replace('|', "¦");
    match web_address(url) {
        Some(url) => format!("<{url}|{label}>"),
        None => label,
    }
}

/// `url` as it may stand in a link: http or https, bounded, without what ends a link.
pub(super) fn web_address(url: &str) -> Option<String> {
    let url =
        reqwest::Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let url = url.as_str();
    let escaped =
        url.replace('&', "&amp;").replace('<', "%3C").replace('>', "%3E").replace('|', "%7C");
    (escaped.len() <= 500).then_some(escaped)
}

/// A point in time in the reader's own zone, and how long ago that is whenever it is read.
pub(super) fn since(at: Timestamp) -> String {
    date(at, "{date_short_pretty}, {time_secs} ({ago})")
}

/// A point in time in the reader's own zone.
pub(super) fn moment(at: Timestamp) -> String {
    date(at, "{date_short_pretty}, {time_secs}")
}

/// A time of day in the reader's own zone.
pub(super) fn clock(at: Timestamp) -> String {
    date(at, "{time_secs}")
}

fn date(at: Timestamp, format: &str) -> String {
    let utc = at.to_jiff().strftime("%Y-%m-%d %H:%M:%S UTC");
    format!("<!date^{}^{format}|{utc}>", at.secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_of_others_is_shown_not_obeyed() {
        assert_eq!(line("<!channel> & <a|b>", 99), "&lt;!channel&gt; &amp; &lt;a|b&gt;");
        assert_eq!(code("a`b`", 99), "`aʼbʼ`");
        assert_eq!(code("\u{0}", 99), "");
    }

    #[test]
    fn escaped_text_never_ends_in_half_an_entity() {
        for (text, max, want) in [
            ("a<<<", 10, "a&lt;&lt;…"),
            ("a<<<", 9, "a&lt;…"),
            ("a<<", 9, "a&lt;&lt;"),
            ("&", 4, "…"),
            ("äöü", 3, "äöü"),
            ("äöüß", 3, "äö…"),
        ] {
            assert_eq!(line(text, max), want, "{text} in {max}");
        }
    }

    #[test]
    fn only_web_addresses_become_links() {
        assert_eq!(link("https://a.example/x?a=1&b=2", "t"), "<https://a.example/x?a=1&amp;b=2|t>");
        assert_eq!(link("javascript:alert(1)", "t|u"), "t¦u");
        assert_eq!(link("https://a.example/|x>y z", "t"), "<https://a.example/%7Cx%3Ey%20z|t>");
        assert_eq!(link("", "t"), "t");
    }

    #[test]
    fn dates_carry_a_fallback_in_utc() {
        assert_eq!(
            clock(Timestamp::from_secs(1_795_370_587)),
            "<!date^1795370587^{time_secs}|2026-11-22 18:03:07 UTC>"
        );
    }
}
