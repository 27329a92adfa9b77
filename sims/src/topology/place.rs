//! Where nodes stand in a drawing.

use std::f64::consts::{FRAC_PI_2, TAU};

/// `index` of `count` as a share of 1; no node is so far along that this is inexact.
pub(super) fn share(index: usize, count: usize) -> f64 {
    let number = |number: usize| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
    number(index) / number(count.max(1))
}

/// Points on a circle, from the top, clockwise.
pub(super) fn circle(count: usize, (x, y): (f64, f64), radius: f64) -> Vec<(f64, f64)> {
    if count == 1 {
        return vec![(x, y)];
    }
    (0..count)
        .map(|index| {
            let angle = share(index, count) * TAU - FRAC_PI_2;
            (inside(x + radius * angle.cos()), inside(y + radius * angle.sin()))
        })
        .collect()
}

/// The usual circle.
pub(super) fn round(count: usize) -> Vec<(f64, f64)> {
    circle(count, (0.5, 0.5), 0.45)
}

/// A row of points at this height.
pub(super) fn row(count: usize, y: f64) -> Vec<(f64, f64)> {
    (0..count).map(|index| (inside(share(2 * index + 1, 2 * count)), inside(y))).collect()
}

/// A coordinate inside of the drawing.
pub(super) fn inside(coordinate: f64) -> f64 {
    // To four digits: the sines of two machines may differ in the last.
    (coordinate.clamp(0.0, 1.0) * 10_000.0).round() / 10_000.0
}
