//! Beside p-throttle and Bottleneck, as `originals/` recorded them: where the two part, it is by a rule that the docs name.

use std::fs;
use std::path::Path;

use aplomb::rate_limiter::{Algorithm, FixedWindow, Rate, SlidingWindow, TokenBucket};
use aplomb::time::ms;
use aplomb::{Heap, Instant};

/// Calls, and when the original started them.
struct Recorded {
    line: String,
    permits: u32,
    per: u64,
    calls: Vec<(u64, u32)>,
    starts: Vec<u64>,
}

fn recorded(name: &str) -> Vec<Recorded> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("originals").join(name);
    let text = fs::read_to_string(file).unwrap();
    let all: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).map(parse).collect();
    assert_eq!(all.len(), 500);
    all
}

fn parse(line: &str) -> Recorded {
    let [settings, calls, starts] = line.split('|').map(str::split_whitespace).collect::<Vec<_>>().try_into().unwrap();
    let [permits, per] = settings.collect::<Vec<_>>().try_into().unwrap();
    let calls = calls.map(|call| call.split_once(':').unwrap()).map(|(at, n)| (at.parse().unwrap(), n.parse().unwrap()));
    Recorded {
        line: line.to_owned(),
        permits: permits.parse().unwrap(),
        per: per.parse().unwrap(),
        calls: calls.collect(),
        starts: starts.map(|start| start.parse().unwrap()).collect(),
    }
}

impl Recorded {
    fn rate(&self) -> Rate {
        Rate::new(self.permits, ms(self.per))
    }

    /// When a rule of ours starts the calls.
    fn ours<A: Algorithm>(&self, rule: &A) -> Vec<u64> {
        // Our clock is not at its origin at first, where a window might have begun.
        let at = |millis: u64| Instant::ORIGIN + ms(1_000_000 + millis);
        let mut state = A::START;
        let starts = self.calls.iter().map(|&(time, n)| rule.reserve(&mut state, at(time), Instant::ORIGIN, n).unwrap());
        starts.map(|start| start.as_nanos() / 1_000_000 - 1_000_000).collect()
    }
}

/// Plays all scripts: a model by their rule must do what they did, and by our rule what we do.
fn part_by_one_rule<A: Algorithm>(
    scripts: &[Recorded],
    rule: impl Fn(&Recorded) -> A,
    model: impl Fn(&Recorded, bool) -> Vec<u64>,
    expected_to_agree: usize,
) {
    let mut agree = 0;
    for script in scripts {
        let ours = script.ours(&rule(script));
        assert_eq!(model(script, false), script.starts, "theirs: {}", script.line);
        assert_eq!(model(script, true), ours, "ours: {}", script.line);
        agree += usize::from(ours == script.starts);
    }
    assert_eq!(agree, expected_to_agree, "scripts in which the rule does not matter");
}

/// p-throttle counts a call that comes at the very end of a window in that window, where for us the next one has begun.
#[test]
fn p_throttle_lets_a_window_last_a_millisecond_longer() {
    let model = |script: &Recorded, is_over_at_its_end: bool| {
        let mut window: Option<(u64, u32)> = None;
        let start = |&(now, n): &(u64, u32)| {
            let lasts = |begins| now < begins + script.per || (now == begins + script.per && !is_over_at_its_end);
            let (begins, taken) = match window {
                Some((begins, taken)) if lasts(begins) && taken + n <= script.permits => (begins, taken + n),
                Some((begins, _)) if lasts(begins) => (begins + script.per, n),
                _ => (now, n),
            };
            window = Some((begins, taken));
            begins.max(now)
        };
        script.calls.iter().map(start).collect()
    };
    part_by_one_rule(&recorded("p-throttle-windowed.txt"), |script| FixedWindow::new(script.rate()), model, 484);
}

/// p-throttle's strict mode sets those who wait apart, by their part of the period; for us they come as soon as there is room.
#[test]
fn p_throttle_sets_apart_who_waits() {
    let model = |script: &Recorded, as_soon_as_there_is_room: bool| {
        let mut starts: Vec<u64> = Vec::new();
        let apart = if as_soon_as_there_is_room { 0 } else { script.per.div_ceil(u64::from(script.permits)) };
        let mut seen = 0;
        for &(now, _) in &script.calls {
            // It forgets all when the last start is longer ago than a period.
            if starts.last().is_some_and(|last| now > last + script.per) {
                seen = starts.len();
            }
            let counted = &starts[seen..];
            let Some(oldest) = counted.len().checked_sub(usize::try_from(script.permits).unwrap()).map(|index| counted[index])
            else {
                let start = if as_soon_as_there_is_room { now.max(starts.last().copied().unwrap_or(0)) } else { now };
                starts.push(start);
                continue;
            };
            let (free, last) = (oldest + script.per, *counted.last().unwrap());
            starts.push(if free <= last { last + apart } else { free }.max(now));
        }
        starts
    };
    part_by_one_rule(&recorded("p-throttle-strict.txt"), |script| SlidingWindow::<Heap>::new(script.rate()), model, 287);
}

/// With weights, p-throttle lets a small call go before a large one that waits; nobody overtakes here.
#[test]
fn p_throttle_lets_small_calls_overtake() {
    let model = |script: &Recorded, nobody_overtakes: bool| {
        let mut starts: Vec<(u64, u32)> = Vec::new();
        for &(now, n) in &script.calls {
            let last = starts.last().map_or(0, |last| last.0);
            let taken = |at: u64| {
                let counted = starts.iter().filter(|(start, _)| *start <= at && at < start + script.per);
                counted.map(|(_, n)| n).sum::<u32>()
            };
            let mut start = if nobody_overtakes { now.max(last) } else { now };
            while taken(start) + n > script.permits {
                start += 1;
            }
            starts.push((start, n));
        }
        starts.into_iter().map(|(start, _)| start).collect()
    };
    part_by_one_rule(&recorded("p-throttle-strict-weighted.txt"), |script| SlidingWindow::<Heap>::new(script.rate()), model, 249);
}

/// A turn of Bottleneck's loop: it registers a call in the next one, and starts it in that or the one after.
const TURN: u64 = 1;

#[test]
fn bottleneck_keeps_the_same_pace_a_turn_of_its_loop_later() {
    for mut script in recorded("bottleneck-min-time.txt") {
        script.calls.iter_mut().for_each(|call| call.0 += TURN);
        let pace = ms(script.per.div_ceil(u64::from(script.permits)));
        for (due, start) in script.ours(&TokenBucket::new(Rate::new(1, pace))).into_iter().zip(&script.starts) {
            assert!((due..=due + TURN).contains(start), "{due}, but {start}: {}", script.line);
        }
    }
}

/// Bottleneck fills its reservoir on a grid that begins when it is made; a window of ours begins with its first permit.
#[test]
fn bottleneck_fills_its_reservoir_on_a_grid() {
    let model = |script: &Recorded, begins_with_its_first: bool| {
        let (mut begins, mut left, mut last) = (0, script.permits, 0);
        let mut is_new = true;
        let start = |&(now, n): &(u64, u32)| {
            let mut start = now.max(last);
            if begins_with_its_first {
                if is_new || start >= begins + script.per {
                    (begins, left, is_new) = (start, script.permits, false);
                }
            } else if start >= begins + script.per {
                (begins, left) = (start / script.per * script.per, script.permits);
            }
            if left < n {
                (begins, left) = (begins + script.per, script.permits);
                start = begins;
            }
            left -= n;
            last = start;
            start
        };
        script.calls.iter().map(start).collect::<Vec<_>>()
    };
    let mut compared = 0;
    for script in recorded("bottleneck-reservoir.txt") {
        assert_eq!(model(&script, true), script.ours(&FixedWindow::new(script.rate())), "ours: {}", script.line);
        // What comes within a few turns before the reservoir is filled may find it filled.
        if script.calls.iter().any(|(now, _)| script.per - now % script.per <= 2 * TURN) {
            continue;
        }
        // Each call takes a turn or two of its loop, and so do those before it.
        for (due, start) in model(&script, false).into_iter().zip(&script.starts) {
            let turns = TURN * u64::try_from(2 + script.calls.len()).unwrap();
            assert!((due..=due + turns).contains(start), "{due}, but {start}: {}", script.line);
        }
        compared += 1;
    }
    assert!(compared >= 300, "only {compared}");
}
