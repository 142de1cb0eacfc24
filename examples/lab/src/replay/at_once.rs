use std::collections::HashSet;

use conformance::trace::What;

use super::lane::{Lane, Then};
use super::scene::{Operation, Scene};

/// A row for each operation that somebody has under way at once; one that ends leaves its row to another.
pub(super) fn lanes(scene: &Scene<'_>, by: &str) -> Vec<Lane> {
    let dropped: HashSet<usize> =
        scene.trace.iter().filter_map(|entry| if let What::Drop { number } = entry.what { Some(number) } else { None }).collect();
    let mut rows: Vec<Row> = Vec::new();
    for (at, what) in scene.entries() {
        for row in &mut rows {
            row.end_by(at, scene);
        }
        match what {
            What::Start { number, by: starter, arg } if starter == by => {
                let mut operation = scene.operation(at, *number, by, arg.as_ref());
                if dropped.contains(number) {
                    operation.ends = u64::MAX;
                }
                let free = rows.iter().position(|row| row.under_way.is_none()).unwrap_or_else(|| {
                    rows.push(Row { lane: Lane::new(format!("{by}/{}", rows.len() + 1)), under_way: None });
                    rows.len() - 1
                });
                rows[free].start(at, operation);
            }
            What::Drop { number } => {
                for row in &mut rows {
                    row.cut_off(at, *number, scene);
                }
            }
            _ => {}
        }
    }
    for row in &mut rows {
        row.end_by(scene.over(), scene);
    }
    rows.into_iter().map(|row| row.lane).collect()
}

struct Row {
    lane: Lane,
    under_way: Option<Operation>,
}

impl Row {
    fn start(&mut self, at: u64, operation: Operation) {
        self.lane.mark(at, &operation.number, Then::Runs);
        self.under_way = Some(operation);
    }

    fn cut_off(&mut self, at: u64, number: usize, scene: &Scene<'_>) {
        if self.under_way.take_if(|operation| operation.number == number).is_some() {
            self.lane.mark(at, &scene.glyphs.cut_off, Then::Rests);
        }
    }

    fn end_by(&mut self, at: u64, scene: &Scene<'_>) {
        if let Some(operation) = self.under_way.take_if(|operation| operation.ends <= at) {
            let mark = if operation.succeeds { &scene.glyphs.value } else { &scene.glyphs.error };
            self.lane.mark(operation.ends, mark, Then::Rests);
        }
    }
}
