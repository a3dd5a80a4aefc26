//! Tables without lines: a header, columns two spaces apart, as wide as the terminal at most.
//!
//! Owns alignment, wrapping and colour. Never decides what is in a table.

use comfy_table::{
    Attribute, CellAlignment, Color, ColumnConstraint, ContentArrangement, Table, Width, presets,
};

use super::screen::{Screen, Tone};

/// A column's head.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    name: String,
    is_right: bool,
    least: Option<u16>,
}

impl Column {
    /// A column of words.
    pub(crate) fn left(name: impl Into<String>) -> Self {
        Self { name: name.into(), is_right: false, least: None }
    }

    /// A column of numbers.
    pub(crate) fn right(name: impl Into<String>) -> Self {
        Self { is_right: true, ..Self::left(name) }
    }

    /// Never narrower than this many characters, however narrow the terminal is.
    pub(crate) fn at_least(self, n_chars: u16) -> Self {
        Self { least: Some(n_chars), ..self }
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

    /// The whole, lines ended; columns in which nothing stands are left out.
    pub(crate) fn draw(mut self, screen: &Screen) -> String {
        self.drop_empty_columns();
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
        table.set_header(self.columns.iter().map(|c| {
            comfy_table::Cell::new(&c.name).add_attribute(Attribute::Bold)
        }));
        for row in self.rows {
            table.add_row(row.into_iter().map(styled));
        }
        let n_columns = self.columns.len();
        for (i, (column, drawn)) in self.columns.iter().zip(table.column_iter_mut()).enumerate() {
            drawn.set_padding((0, if i + 1 < n_columns { 2 } else { 0 }));
            if column.is_right {
                drawn.set_cell_alignment(CellAlignment::Right);
            }
            if let Some(least) = column.least {
                drawn.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(least + 2)));
            }
        }
        let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
        lines.join("\n") + "\n"
    }

    fn drop_empty_columns(&mut self) {
        let used: Vec<bool> = (0..self.columns.len())
            .map(|i| self.rows.iter().any(|row| row.get(i).is_some_and(|c| !c.text.is_empty())))
            .collect();
        let mut kept = used.iter();
        self.columns.retain(|_| kept.next().copied().unwrap_or(true));
        for row in &mut self.rows {
            let mut kept = used.iter();
            row.retain(|_| kept.next().copied().unwrap_or(true));
        }
    }
}

fn styled(cell: Cell) -> comfy_table::Cell {
    let drawn = comfy_table::Cell::new(cell.text);
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
        let mut grid = Grid::new([Column::left("name"), Column::left("gap"), Column::right("count")]);
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
        let mut grid = Grid::new([Column::left("a"), Column::left("b")]);
        grid.row([Cell::from("x"), "words and words and words and words".into()]);
        let narrow = Screen::plain(Some(20), Timestamp::EPOCH);
        let wide = Screen::plain(None, Timestamp::EPOCH);
        let clone = Grid { columns: grid.columns.clone(), rows: grid.rows.clone() };
        assert!(clone.draw(&narrow).lines().all(|line| line.chars().count() <= 20));
        assert_eq!(grid.draw(&wide).lines().count(), 2);
    }
}
