//! Paging through lists, newest first.
//!
//! Owns the cursor: the time and number of the last row shown, so that rows that come in meanwhile neither repeat nor
//! hide any. Never knows what the rows are.

use std::fmt;
use std::str::FromStr;

/// Which page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// At most this many rows.
    pub limit: u32,
    /// Only what comes after this row.
    pub(super) after: Option<(i64, i64)>,
}

impl Page {
    /// The first page.
    pub const fn first(limit: u32) -> Self {
        Self { limit, after: None }
    }

    /// The page after a cursor.
    pub const fn after(limit: u32, cursor: Cursor) -> Self {
        Self { limit, after: Some(cursor.0) }
    }
}

/// A place in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor((i64, i64));

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0.0, self.0.1)
    }
}

/// What is no cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoCursor;

impl FromStr for Cursor {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, NoCursor> {
        let (at, id) = text.split_once('.').ok_or(NoCursor)?;
        Ok(Self((at.parse().map_err(|_| NoCursor)?, id.parse().map_err(|_| NoCursor)?)))
    }
}

/// One page of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paged<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Where the next page begins, if there is one.
    pub next: Option<Cursor>,
}

/// A page out of up to `limit + 1` rows with their places.
pub(super) fn page_out<T>(mut rows: Vec<((i64, i64), T)>, limit: u32) -> Paged<T> {
    let limit = limit as usize;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|(place, _)| Cursor(*place));
    Paged { rows: rows.into_iter().map(|(_, row)| row).collect(), next }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_as_it_is_written() {
        for text in ["0.1", "-5.7", "1793491200000000000.42"] {
            assert_eq!(text.parse::<Cursor>().map(|c| c.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "1", "a.b", "1.2.3"] {
            assert_eq!(text.parse::<Cursor>(), Err(NoCursor), "{text:?}");
        }
    }

    #[test]
    fn the_last_page_says_so() {
        let rows = |n: i64| (0..n).map(|i| ((i, i), i)).collect::<Vec<_>>();
        assert_eq!(page_out(rows(2), 2).next, None);
        let page = page_out(rows(3), 2);
        assert_eq!((page.rows, page.next), (vec![0, 1], Some(Cursor((1, 1)))));
    }
}
