//! Confusion matrix of a page with a button in each cell.

use crate::evaluation::Metrics;

#[derive(Debug)]
pub(super) struct Confusion {
    pub(super) classes: Vec<String>,
    pub(super) rows: Vec<Row>,
}

#[derive(Debug)]
pub(super) struct Row {
    pub(super) index: usize,
    pub(super) class: String,
    pub(super) cells: Vec<Cell>,
    pub(super) clips: u64,
}

#[derive(Debug)]
pub(super) struct Cell {
    pub(super) class: String,
    pub(super) clips: u64,
    pub(super) percent: String,
    /// Number of the CSS class, from 0 (no clip) to 8 (all clips of the row).
    pub(super) shade: u8,
}

impl Confusion {
    pub(super) fn new(metrics: &Metrics) -> Confusion {
        let row = |(index, counts): (usize, &Vec<u64>)| {
            let clips: u64 = counts.iter().sum();
            let cell = |(class, &count): (&String, &u64)| {
                let share = count as f64 / clips.max(1) as f64;
                Cell {
                    class: class.clone(),
                    clips: count,
                    percent: if clips == 0 {
                        String::new()
                    } else {
                        format!("{:.0}", 100.0 * share)
                    },
                    shade: (8.0 * share).ceil() as u8,
                }
            };
            Row {
                index,
                class: metrics.classes[index].clone(),
                cells: metrics.classes.iter().zip(counts).map(cell).collect(),
                clips,
            }
        };
        Confusion {
            classes: metrics.classes.clone(),
            rows: metrics.confusion.iter().enumerate().map(row).collect(),
        }
    }
}
