//! Delta debugging: the fewest items that still fail.

/// Takes away all, then halves, quarters, and so on down to single items; `fails` says whether the rest
/// still does. No single item of what is left can go.
pub(super) fn ddmin<T: Clone>(items: Vec<T>, mut fails: impl FnMut(&[T]) -> bool) -> Vec<T> {
    let mut left = items;
    if left.is_empty() || fails(&[]) {
        return Vec::new();
    }
    let mut size = left.len().div_ceil(2);
    loop {
        let before = left.len();
        let mut start = 0;
        while start < left.len() {
            let end = left.len().min(start + size);
            let rest = [&left[..start], &left[end..]].concat();
            if !rest.is_empty() && fails(&rest) {
                left = rest;
            } else {
                start = end;
            }
        }
        match (size, left.len() < before) {
            (1, false) => return left,
            // What went may make room for larger pieces no more, but single ones may go now.
            (1, true) => {}
            _ => size = size.min(left.len()).div_ceil(2),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::ddmin;

    proptest! {
        #[test]
        fn what_is_left_is_just_what_is_needed(
            count in 1_usize..200, needed in proptest::collection::btree_set(0_usize..200, 0..5)
        ) {
            let needed: BTreeSet<usize> = needed.into_iter().filter(|item| *item < count).collect();
            let left = ddmin((0..count).collect(), |rest| needed.iter().all(|item| rest.contains(item)));
            prop_assert_eq!(left, needed.into_iter().collect::<Vec<_>>());
        }

        #[test]
        fn no_single_item_can_go(count in 1_usize..60, least in 1_usize..20) {
            let fails = |rest: &[usize]| rest.iter().filter(|item| *item % 3 == 0).count() >= least.min(count.div_ceil(3));
            let left = ddmin((0..count).collect(), fails);
            prop_assert!(fails(&left));
            for without in 0..left.len() {
                let rest: Vec<_> = left.iter().copied().enumerate().filter(|(at, _)| *at != without).map(|(_, item)| item).collect();
                prop_assert!(!fails(&rest));
            }
        }
    }

    #[test]
    fn two_of_a_thousand_are_found_in_few_runs() {
        let mut runs = 0;
        let left = ddmin((0..1000).collect(), |rest: &[usize]| {
            runs += 1;
            rest.contains(&17) && rest.contains(&800)
        });
        assert_eq!(left, [17, 800]);
        assert!(runs < 80, "{runs}");
    }
}
