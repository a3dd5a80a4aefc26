//! A text with headings, facts and tables, before it has a form.
//!
//! Owns nothing but the shape. Texts are plain: whoever renders one escapes them all.

/// A text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Document {
    /// What stands above it.
    pub title: String,
    /// What follows.
    pub blocks: Vec<Block>,
}

/// A piece of a text.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// A heading; level 2 is below the title.
    Heading(u8, String),
    /// A paragraph.
    Text(String),
    /// What must not be missed.
    Note(String),
    /// Names with what is said of them, and how that is.
    Facts(Vec<(String, Cell)>),
    /// A table.
    Table(Table),
}

/// How something is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// As it is.
    #[default]
    Plain,
    /// All is well.
    Good,
    /// Something went wrong.
    Bad,
    /// More important than what stands around it.
    Strong,
}

/// A table.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// What it shows, for those who can't see it.
    pub caption: String,
    /// Its columns.
    pub columns: Vec<Column>,
    /// Its rows, each with as many cells as there are columns.
    pub rows: Vec<Vec<Cell>>,
}

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// What is in it.
    pub name: &'static str,
    /// Numbers stand on the right.
    pub is_number: bool,
}

/// A cell of a table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cell {
    /// What it says.
    pub text: String,
    /// How that is.
    pub tone: Tone,
}

impl Cell {
    /// A text in a tone.
    pub fn new(tone: Tone, text: impl Into<String>) -> Self {
        Self { text: text.into(), tone }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(Tone::Plain, text)
    }
}

impl Column {
    /// A column of texts.
    pub const fn text(name: &'static str) -> Self {
        Self { name, is_number: false }
    }

    /// A column of numbers.
    pub const fn number(name: &'static str) -> Self {
        Self { name, is_number: true }
    }
}
