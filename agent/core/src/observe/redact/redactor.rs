//! One text in, the same text without what must not leave the host out.
//!
//! Owns the order of looking: the text as it is, then with its escapes unfolded, again and again, because JSON stands in
//! JSON. Bounded: as deep as [`MAX_UNFOLDED`], and of a text that will be cut only what lies around the cut. The result
//! of JSON is JSON; text in which nothing is found is not copied.

use super::bearer::Bearer;
use super::json::{Piece, is_json, pieces};
use super::settings::{Detector, RedactSettings};
use super::span::{Found, Span, merged};
use super::url::Url;
use super::view::View;
use super::{OwnPattern, card, email};

/// JSON in JSON in JSON in JSON.
const MAX_UNFOLDED: usize = 4;

/// Findings beside findings beside findings.
const MAX_PASSES: usize = 8;

/// How much behind a cut is looked at: what begins before it is found whole unless it is longer.
const BEHIND_CUT_BYTES: usize = 64 * 1024;

/// Takes out of texts what must not leave the host.
#[derive(Clone, Debug)]
pub struct Redactor {
    email: bool,
    card: bool,
    bearer: Option<Bearer>,
    url: Option<Url>,
    also: Vec<OwnPattern>,
    labels: bool,
}

impl Default for Redactor {
    /// Everything that is on by default.
    fn default() -> Self {
        Self::new(&RedactSettings::default())
    }
}

impl Redactor {
    /// One that looks for this.
    pub fn new(settings: &RedactSettings) -> Self {
        let is_on = |detector| !settings.off.contains(&detector);
        Self {
            email: is_on(Detector::Email),
            card: is_on(Detector::Card),
            bearer: is_on(Detector::Bearer).then(Bearer::new),
            url: is_on(Detector::UrlPassword).then(Url::new),
            also: settings.also.clone(),
            labels: settings.labels,
        }
    }

    /// Whether values of labels are looked into.
    pub(crate) fn covers_labels(&self) -> bool {
        self.labels
    }

    /// The text without what was found, and how much that was; `None` if it can stay as it is.
    pub fn redact(&self, text: &str) -> Option<(String, u64)> {
        self.redact_head(text, usize::MAX)
    }

    /// As [`Redactor::redact`], for a text of which no more than `max` bytes are kept: what comes back may be longer, and
    /// what lies far behind was not looked at.
    pub(crate) fn redact_head(&self, text: &str, max: usize) -> Option<(String, u64)> {
        let (mut redacted, mut n) = self.pass(text, max, &self.also)?;
        // What stands beside a mark now may have been part of a longer word before.
        for _ in 1..MAX_PASSES {
            let Some((again, more)) = self.pass(&redacted, max, &[]) else { break };
            redacted = again;
            n += more;
        }
        Some((redacted, n))
    }

    fn pass(&self, text: &str, max: usize, own: &[OwnPattern]) -> Option<(String, u64)> {
        let kept = text.floor_char_boundary(max);
        let text = &text[..text.floor_char_boundary(max.saturating_add(BEHIND_CUT_BYTES))];
        let spans = self.spans(text, own);
        if spans.is_empty() {
            return None;
        }
        let pieces = match is_json(text) {
            true => pieces(text, &spans),
            false => spans.into_iter().map(|span| Piece { span, quoted: false }).collect(),
        };
        let mut out = String::with_capacity(kept);
        let (mut copied, mut n) = (0, 0);
        for Piece { span, quoted } in pieces {
            if span.at.start >= kept || out.len() > max {
                break;
            }
            let quote = if quoted { "\"" } else { "" };
            out.push_str(&text[copied..span.at.start]);
            out.extend([quote, span.mark.text(own), quote]);
            copied = span.at.end;
            n += 1;
        }
        out.push_str(text.get(copied..kept).unwrap_or_default());
        (n > 0).then_some((out, n))
    }

    /// Everything found in a text, in its order.
    fn spans(&self, text: &str, own: &[OwnPattern]) -> Vec<Span> {
        let mut all = Vec::new();
        let mut views: Vec<View> = Vec::new();
        loop {
            let seen = views.last().map_or(text, |view| &view.text);
            let next = (views.len() < MAX_UNFOLDED).then(|| View::of(seen)).flatten();
            let mut found = Found::new(&self.also);
            own.iter().enumerate().for_each(|(n, own)| own.find(seen, n, &mut found));
            // In JSON an escape is never what it looks like, except to those who wrote an expression for it.
            if !(views.is_empty() && next.is_some() && is_json(text)) {
                self.find(seen, &mut found);
            }
            for Span { at, mark } in found.spans {
                let at = next.as_ref().map_or(at.clone(), |next| next.whole(at));
                let at = views.iter().rev().fold(at, |at, view| view.outer(at));
                all.push(Span { at, mark });
            }
            match next {
                Some(next) => views.push(next),
                None => return merged(all),
            }
        }
    }

    fn find(&self, text: &str, found: &mut Found<'_>) {
        if let Some(url) = &self.url {
            url.find(text, found);
        }
        if let Some(bearer) = &self.bearer {
            bearer.find(text, found);
        }
        if self.card {
            card::find(text, found);
        }
        if self.email {
            email::find(text, found);
        }
    }
}
