//! Tables without lines: a header, columns two spaces apart, as wide as the terminal at most.
//!
//! Owns alignment, wrapping, colour, and what is left out where there is no room. Never decides what is in a table.

use comfy_table::{
    Attribute, CellAlignment, Color, ColumnConstraint, ContentArrangement, Table, Width, presets,
};

use super::screen::{Screen, Tone};

/// Blanks between columns.
const GAP: u16 = 2;

/// A column's head.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    name: String,
    is_right: bool,
    /// The least width if its texts may be wrapped; else they never are.
    wraps_at: Option<usize>,
    is_spare: bool,
}

impl Column {
    /// A column of words.
    pub(crate) fn left(name: impl Into<String>) -> Self {
        Self { name: name.into(), is_right: false, wraps_at: None, is_spare: false }
    }

    /// A column of numbers.
    pub(crate) fn right(name: impl Into<String>) -> Self {
        Self { is_right: true, ..Self::left(name) }
    }

    /// Its texts may be wrapped, to no fewer than this many characters.
    pub(crate) fn wraps(self, n_chars: usize) -> Self {
        Self { wraps_at: Some(n_chars), ..self }
    }

    /// Left out where there is no room for all.
    pub(crate) fn spare(self) -> Self {
        Self { is_spare: true, ..self }
    }
}

/// One cell.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// A text in a tone.
    pub(crate) fn new(tone: Tone, text: impl Into<String>) -> Self {
        Self { text: text.into(), tone }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(Tone::Plain, text)
    }
}

/// A table that grows by rows.
#[derive(Debug)]
pub(crate) struct Grid {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Grid {
    /// An empty one.
    pub(crate) fn new(columns: impl Into<Vec<Column>>) -> Self {
        Self { columns: columns.into(), rows: Vec::new() }
    }

    /// Adds a row, a cell for each column.
    pub(crate) fn row(&mut self, cells: impl Into<Vec<Cell>>) {
        self.rows.push(cells.into());
    }

    /// The whole, lines ended. Columns in which nothing stands are left out, and spare ones, the last first, until the
    /// rest fits.
    pub(crate) fn draw(mut self, screen: &Screen) -> String {
        let used: Vec<bool> = (0..self.columns.len()).map(|i| self.content_width(i) > 0).collect();
        self.keep(&used);
        while let Some(spare) = self.too_much(screen) {
            let kept: Vec<bool> = (0..self.columns.len()).map(|i| i != spare).collect();
            self.keep(&kept);
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING).force_no_tty();
        if screen.colour {
            table.enforce_styling();
        }
        match screen.width {
            Some(width) => {
                table.set_width(width).set_content_arrangement(ContentArrangement::Dynamic);
            }
            None => {
                table.set_content_arrangement(ContentArrangement::Disabled);
            }
        }
        table.set_header(
            self.columns
                .iter()
                .map(|c| comfy_table::Cell::new(&c.name).add_attribute(Attribute::Bold)),
        );
        for row in &self.rows {
            table.add_row(row.iter().map(styled));
        }
        self.shape(&mut table, screen);
        let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
        lines.join("\n") + "\n"
    }

    /// Alignment, gaps and least widths.
    fn shape(&self, table: &mut Table, screen: &Screen) {
        let is_tight = screen.width.is_some_and(|width| self.least_width() > usize::from(width));
        let n_columns = self.columns.len();
        for (i, (column, drawn)) in self.columns.iter().zip(table.column_iter_mut()).enumerate() {
            let gap = if i + 1 < n_columns { GAP } else { 0 };
            drawn.set_padding((0, gap));
            if column.is_right {
                drawn.set_cell_alignment(CellAlignment::Right);
            }
            // Where not even that fits everything is wrapped.
            if !is_tight {
                let least = u16::try_from(self.column_width(i)).unwrap_or(u16::MAX);
                let least = Width::Fixed(least.saturating_add(gap));
                drawn.set_constraint(ColumnConstraint::LowerBoundary(least));
            }
        }
    }

    /// The next column to leave out, if there are too many.
    fn too_much(&self, screen: &Screen) -> Option<usize> {
        let width = usize::from(screen.width?);
        let spare = self.columns.iter().rposition(|column| column.is_spare)?;
        (self.least_width() > width).then_some(spare)
    }

    /// Columns the table needs.
    fn least_width(&self) -> usize {
        let gaps = usize::from(GAP) * self.columns.len().saturating_sub(1);
        (0..self.columns.len()).map(|i| self.column_width(i)).sum::<usize>() + gaps
    }

    /// Characters a column needs.
    fn column_width(&self, i: usize) -> usize {
        let column = &self.columns[i];
        let whole = self.content_width(i).max(column.name.chars().count());
        column.wraps_at.map_or(whole, |least| whole.min(least.max(column.name.chars().count())))
    }

    /// Characters its longest text has.
    fn content_width(&self, i: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(i));
        cells.map(|cell| cell.text.chars().count()).max().unwrap_or(0)
    }

    fn keep(&mut self, kept: &[bool]) {
        let mut flags = kept.iter().copied();
        self.columns.retain(|_| flags.next().unwrap_or(true));
        for row in &mut self.rows {
            let mut flags = kept.iter().copied();
            row.retain(|_| flags.next().unwrap_or(true));
        }
    }
}

fn styled(cell: &Cell) -> comfy_table::Cell {
    let drawn = comfy_table::Cell::new(&cell.text);
    match cell.tone {
        Tone::Plain => drawn,
        Tone::Good => drawn.fg(Color::DarkGreen),
        Tone::Warning => drawn.fg(Color::DarkYellow),
        Tone::Bad => drawn.fg(Color::DarkRed),
        Tone::Faint => drawn.add_attribute(Attribute::Dim),
        Tone::Strong => drawn.add_attribute(Attribute::Bold),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use watchkeeper_model::Timestamp;

    fn grid() -> Grid {
        let mut grid =
            Grid::new([Column::left("name"), Column::left("gap"), Column::right("count")]);
        grid.row([Cell::from("shop"), "".into(), "7".into()]);
        grid.row([Cell::from("database"), "".into(), "1,234".into()]);
        grid
    }

    #[test]
    fn columns_are_aligned_and_empty_ones_left_out() {
        let screen = Screen::plain(Some(80), Timestamp::EPOCH);
        assert_eq!(grid().draw(&screen), "name      count\nshop          7\ndatabase  1,234\n");
    }

    #[test]
    fn long_texts_wrap_on_a_terminal_and_nowhere_else() {
        let grid = || {
            let mut grid = Grid::new([Column::left("a"), Column::left("b").wraps(8)]);
            grid.row([Cell::from("whole-name"), "words and words and words and words".into()]);
            grid
        };
        let narrow = grid().draw(&Screen::plain(Some(24), Timestamp::EPOCH));
        assert!(narrow.lines().all(|line| line.chars().count() <= 24), "{narrow}");
        assert!(narrow.contains("whole-name  words and"), "{narrow}");
        assert_eq!(grid().draw(&Screen::plain(None, Timestamp::EPOCH)).lines().count(), 2);
    }

    #[test]
    fn spare_columns_make_room() {
        let grid = || {
            let mut grid = Grid::new([
                Column::left("a"),
                Column::left("b").spare(),
                Column::left("c").spare(),
            ]);
            grid.row([Cell::from("aaaaaaaa"), "bbbbbbbb".into(), "cccccccc".into()]);
            grid
        };
        for (width, shown) in
            [(28, "aaaaaaaa  bbbbbbbb  cccccccc"), (27, "aaaaaaaa  bbbbbbbb"), (17, "aaaaaaaa")]
        {
            let drawn = grid().draw(&Screen::plain(Some(width), Timestamp::EPOCH));
            assert_eq!(drawn.lines().nth(1), Some(shown), "{width}");
        }
    }
}
