//! Lists that come in pages.
//!
//! Owns when to ask for more: only if the caller has not said how much to show. Bounded by [`MAX_PAGES`].

use std::collections::BTreeMap;

use clap::Args;
use serde_json::value::RawValue;

use super::client::{Answer, ApiError, Client};

/// More pages than this are not followed by themselves.
const MAX_PAGES: usize = 100;

/// Which part of a list.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Pages {
    /// How many to show at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Go on after this, which the end of a list names
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
}

impl Pages {
    /// With this limit, unless one was given.
    pub(crate) fn or_limit(&self, limit: u32) -> Self {
        Self { limit: Some(self.limit.unwrap_or(limit)), after: self.after.clone() }
    }

    fn parameters(&self) -> impl Iterator<Item = (&'static str, String)> {
        let limit = self.limit.map(|limit| ("limit", limit.to_string()));
        limit.into_iter().chain(self.after.clone().map(|after| ("after", after)))
    }

    const fn is_given(&self) -> bool {
        self.limit.is_some() || self.after.is_some()
    }
}

type Object<'a> = BTreeMap<&'a str, &'a RawValue>;

/// The list `name` under `/api/v1/`: the page asked for, or all pages in one if none was.
pub(crate) async fn list(
    client: &Client,
    name: &str,
    filters: &[(&'static str, String)],
    pages: &Pages,
) -> Result<Answer, ApiError> {
    let parameters: Vec<_> = filters.iter().cloned().chain(pages.parameters()).collect();
    let first = client.get(&["api", "v1", name], &parameters).await?;
    if pages.is_given() || next_of(first.text()).is_none() {
        return Ok(first);
    }
    let mut all = vec![first];
    while let Some(after) = all.last().and_then(|page| next_of(page.text())) {
        if all.len() == MAX_PAGES {
            break;
        }
        let parameters: Vec<_> = filters.iter().cloned().chain([("after", after)]).collect();
        all.push(client.get(&["api", "v1", name], &parameters).await?);
    }
    let texts: Vec<&str> = all.iter().map(Answer::text).collect();
    // Paths are written with dashes, names in answers with underscores.
    Ok(match joined(&name.replace('-', "_"), &texts) {
        Some(text) => all[0].with_text(text),
        None => all.swap_remove(0),
    })
}

/// The items of a list as they came; `None` if the answer has none.
pub(crate) fn items<'a>(answer: &'a Answer, name: &str) -> Option<&'a RawValue> {
    serde_json::from_str::<Object<'a>>(answer.text()).ok()?.remove(name)
}

/// What names the next page.
fn next_of(text: &str) -> Option<String> {
    let object: Object<'_> = serde_json::from_str(text).ok()?;
    let next = object.get("next")?.get();
    match next {
        "null" | "\"\"" => None,
        _ => serde_json::from_str(next).ok().or_else(|| Some(next.to_owned())),
    }
}

/// One answer out of several, its items as they came; the last page's `next` stays, if there is one.
fn joined(name: &str, pages: &[&str]) -> Option<String> {
    let mut items: Vec<&RawValue> = Vec::new();
    let mut whole = Object::new();
    for page in pages {
        whole = serde_json::from_str(page).ok()?;
        items.extend(serde_json::from_str::<Vec<&RawValue>>(whole.get(name)?.get()).ok()?);
    }
    let items = serde_json::value::to_raw_value(&items).ok()?;
    whole.insert(name, &items);
    serde_json::to_string(&whole).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_named_by_text_or_number() {
        for (text, next) in [
            (r#"{"alerts":[]}"#, None),
            (r#"{"alerts":[],"next":null}"#, None),
            (r#"{"alerts":[],"next":"a b"}"#, Some("a b")),
            (r#"{"alerts":[],"next":17}"#, Some("17")),
            ("[]", None),
            ("nonsense", None),
        ] {
            assert_eq!(next_of(text).as_deref(), next, "{text}");
        }
    }

    #[test]
    fn pages_join_without_changing_their_items() {
        let pages = [r#"{"alerts":[{"v":1.50},2],"next":"x"}"#, r#"{"alerts":[3]}"#];
        assert_eq!(joined("alerts", &pages).unwrap(), r#"{"alerts":[{"v":1.50},2,3]}"#);
    }
}
