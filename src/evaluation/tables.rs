//! Text tables of metrics, for a terminal or a log.

use std::fmt::Write;

use super::metrics::{ClassMetrics, Metrics};
use crate::escape::escape_line;

/// Table of precision, recall, F1 and support for each class that occurs in the truth or in the
/// predictions, then accuracy and the two averages. The text equals the output of scikit-learn's
/// `classification_report(digits=3, zero_division=0)` and ends with a newline.
pub fn classification_table(metrics: &Metrics) -> String {
    let classes = names(metrics);
    let width = text_width(&classes).max("weighted avg".len());
    let clips = metrics.clips;
    let mut table = format!(
        "{:>width$}  {:>9} {:>9} {:>9} {:>9}\n\n",
        "", "precision", "recall", "f1-score", "support"
    );

    for (index, class) in classes.iter().enumerate() {
        if metrics.occurs(index) {
            table += &table_row(class, &metrics.per_class[index], width);
        }
    }

    let accuracy = metrics.accuracy;
    // Writing to a String cannot fail.
    let _ = writeln!(
        table,
        "\n{:>width$}  {:>9} {:>9} {accuracy:>9.3} {clips:>9}",
        "accuracy", "", ""
    );
    table += &table_row("macro avg", &metrics.macro_avg, width);
    table += &table_row("weighted avg", &metrics.weighted_avg, width);
    table
}

fn table_row(name: &str, row: &ClassMetrics, width: usize) -> String {
    let ClassMetrics {
        precision,
        recall,
        f1,
        support,
    } = row;
    format!("{name:>width$}  {precision:>9.3} {recall:>9.3} {f1:>9.3} {support:>9}\n")
}

/// The confusion matrix as text, with aligned rows (true classes) and columns (predicted classes).
/// The text ends with a newline.
pub fn confusion_table(metrics: &Metrics) -> String {
    let corner = "truth \\ predicted";
    let classes = names(metrics);
    let label_width = text_width(&classes).max(corner.len());
    let column_widths: Vec<usize> = classes
        .iter()
        .enumerate()
        .map(|(column, class)| {
            let counts = metrics
                .confusion
                .iter()
                .map(|row| row[column].to_string().len());
            counts.chain([class.chars().count()]).max().unwrap_or(0)
        })
        .collect();

    let line = |label: &str, cells: Vec<String>| {
        let mut line = format!("{label:<label_width$}");
        for (cell, width) in cells.iter().zip(&column_widths) {
            let _ = write!(line, "  {cell:>width$}");
        }
        line + "\n"
    };
    let mut table = line(corner, classes.clone());
    for (class, row) in classes.iter().zip(&metrics.confusion) {
        table += &line(class, row.iter().map(u64::to_string).collect());
    }
    table
}

/// Escaped class names. A label may be the name of a folder, which can contain a line break.
fn names(metrics: &Metrics) -> Vec<String> {
    let names = metrics.classes.iter();
    names.map(|name| escape_line(name).into()).collect()
}

fn text_width(texts: &[String]) -> usize {
    texts
        .iter()
        .map(|text| text.chars().count())
        .max()
        .unwrap_or(0)
}
