//! Fewer points that look the same.

/// At most about `points` of them: of each stretch the least and the greatest value, in their order,
/// so that no peak is lost. The first and the last stay.
pub(super) fn thin(series: &[(f64, f64)], points: usize) -> Vec<(f64, f64)> {
    if series.len() <= points.max(4) {
        return without_level(series);
    }
    let buckets = (points / 2).max(1);
    let (first, last) = (series[0], series[series.len() - 1]);
    let inner = &series[1..series.len() - 1];
    let mut kept = vec![first];
    for bucket in 0..buckets {
        let edge = |nth: usize| inner.len() * nth / buckets;
        kept.extend(extremes(&inner[edge(bucket)..edge(bucket + 1)]));
    }
    kept.push(last);
    without_level(&kept)
}

fn extremes(part: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let by_value = |a: &usize, b: &usize| part[*a].1.total_cmp(&part[*b].1);
    let least = (0..part.len()).min_by(by_value);
    let most = (0..part.len()).max_by(by_value);
    match (least, most) {
        (Some(least), Some(most)) if least != most => vec![part[least.min(most)], part[least.max(most)]],
        (Some(only), _) => vec![part[only]],
        _ => vec![],
    }
}

/// A point between two of the same value says nothing.
fn without_level(series: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let same = |a: usize, b: usize| (series[a].1 - series[b].1).abs() < 1e-9;
    let inner = |at: usize| at > 0 && at + 1 < series.len();
    let says = |at: &usize| !(inner(*at) && same(at - 1, *at) && same(*at, at + 1));
    (0..series.len()).filter(says).map(|at| series[at]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks_and_ends_survive() {
        let mut series: Vec<(f64, f64)> = (0..10_000).map(|at| (f64::from(at), f64::from(at % 7))).collect();
        series[5_001].1 = 99.0;
        series[7_003].1 = -99.0;
        let thinned = thin(&series, 100);
        assert!(thinned.len() <= 102, "{}", thinned.len());
        assert!(thinned.contains(&(5_001.0, 99.0)) && thinned.contains(&(7_003.0, -99.0)));
        assert_eq!((thinned.first(), thinned.last()), (series.first(), series.last()));
        assert!(thinned.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn what_is_level_needs_two_points() {
        let level: Vec<(f64, f64)> = (0..50).map(|at| (f64::from(at), 3.0)).collect();
        assert_eq!(thin(&level, 100), [(0.0, 3.0), (49.0, 3.0)]);
        assert_eq!(thin(&[], 100), []);
    }
}
