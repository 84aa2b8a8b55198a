//! Columns whose widths grow with what stands in them.
//!
//! Invariant: a column is at least as wide as its title asks; the last may be left unpadded.

/// A column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    title: &'static str,
    width: usize,
}

/// A column of at least this width.
pub(super) const fn column(title: &'static str, width: usize) -> Column {
    Column { title, width }
}

/// An empty line, the titles, the rows; a column of width 0 is not padded.
pub(super) fn text(columns: &[Column], rows: &[Vec<String>]) -> String {
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(i, column)| match column.width {
            0 => 0,
            width => {
                let cells = rows.iter().filter_map(|row| row.get(i));
                cells
                    .map(|cell| cell.chars().count())
                    .fold(width, usize::max)
            }
        })
        .collect();
    let titles = columns
        .iter()
        .map(|column| column.title.to_owned())
        .collect();
    let mut text = String::new();
    for row in std::iter::once(&titles).chain(rows) {
        text.push('\n');
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        text.push_str(&cells.join(" "));
    }
    text
}
