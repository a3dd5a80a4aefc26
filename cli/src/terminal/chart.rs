//! Bars and lines out of block characters.
//!
//! Owns how values become heights. Never draws a value that is there as nothing, or one that is missing as zero.

/// A share as a bar of `n_cells`: `██████░░`. Below 0 it is empty; anything left shows.
pub(crate) fn bar(share: f64, n_cells: usize) -> String {
    let share = if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) };
    let full = (share * n_cells as f64).floor() as usize;
    let full = if share > 0.0 { full.max(1) } else { 0 };
    "█".repeat(full) + &"░".repeat(n_cells - full)
}

/// Values in a row as blocks of eight heights, at most `n_cells` of them: a cell shows the greatest of its values, and
/// is blank where all are missing.
pub(crate) fn sparkline(values: &[Option<f64>], n_cells: usize) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let n_cells = n_cells.min(values.len()).max(1);
    let cells = (0..n_cells).map(|i| {
        let (from, to) = (i * values.len() / n_cells, (i + 1) * values.len() / n_cells);
        values[from..to].iter().flatten().copied().reduce(f64::max)
    });
    let cells: Vec<Option<f64>> = cells.collect();
    let known = || cells.iter().flatten().copied();
    let top = known().fold(0.0, f64::max);
    let bottom = known().fold(0.0, f64::min);
    let height = |value: f64| {
        let share = if top > bottom { (value - bottom) / (top - bottom) } else { 0.0 };
        BLOCKS[((share * 7.0).round() as usize).min(7)]
    };
    cells.iter().map(|cell| cell.map_or(' ', height)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_never_hides_what_is_left() {
        for (share, text) in [
            (1.0, "████"),
            (0.99, "███░"),
            (0.01, "█░░░"),
            (0.0, "░░░░"),
            (-3.0, "░░░░"),
            (7.0, "████"),
            (f64::NAN, "░░░░"),
        ] {
            assert_eq!(bar(share, 4), text, "{share}");
        }
    }

    #[test]
    fn a_line_starts_at_zero_and_shows_gaps() {
        for (sentence, values, n_cells, text) in [
            ("nothing is nothing", vec![], 5, ""),
            ("heights are relative to zero", vec![Some(0.0), Some(50.0), Some(100.0)], 5, "▁▅█"),
            ("equal values are equally high", vec![Some(3.0), Some(3.0)], 5, "██"),
            ("zeros are low, not missing", vec![Some(0.0), None, Some(0.0)], 5, "▁ ▁"),
            ("a cell keeps its peak", vec![Some(0.0), Some(9.0), Some(0.0), Some(0.0)], 2, "█▁"),
            ("negative values hang below zero", vec![Some(-1.0), Some(1.0)], 5, "▁█"),
        ] {
            let shown = sparkline(&values, n_cells);
            assert_eq!(shown.trim_end(), text, "{sentence}");
        }
    }
}
