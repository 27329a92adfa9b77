//! Who is linked to whom.

use super::shared::mixed;

/// Members and links between them; the first of a pair dials.
pub struct Topology {
    pub members: usize,
    pub links: Vec<(usize, usize)>,
}

impl Topology {
    pub fn line(members: usize) -> Self {
        Self { members, links: (1..members).map(|n| (n - 1, n)).collect() }
    }

    /// A ring with chords, until nobody is left to link below `degree`.
    pub fn random(members: usize, degree: usize) -> Self {
        let mut links: Vec<_> = (0..members).map(|n| (n, (n + 1) % members)).collect();
        let mut degrees = vec![2; members];
        for dice in 0..10_000 {
            let a = mixed(dice) as usize % members;
            let b = mixed(dice + 1_000_000) as usize % members;
            let fresh = a != b && !links.contains(&(a, b)) && !links.contains(&(b, a));
            if fresh && degrees[a] < degree && degrees[b] < degree {
                links.push((a, b));
                degrees[a] += 1;
                degrees[b] += 1;
            }
        }
        Self { members, links }
    }

    /// A hub whose `degree` neighbours are linked in a ring; the last of them has the hub alone.
    pub fn hub_and_leaf(degree: usize) -> Self {
        let spokes = (1..=degree).map(|n| (0, n));
        let ring = (1..degree).map(|n| (n, n % (degree - 1) + 1));
        Self { members: degree + 1, links: spokes.chain(ring).collect() }
    }

    /// Two times `each` members, all of each half linked, and one link between the halves.
    pub fn two_cliques(each: usize) -> Self {
        let clique = |first: usize| {
            (first..first + each).flat_map(move |a| (a + 1..first + each).map(move |b| (a, b)))
        };
        Self { members: 2 * each, links: clique(0).chain(clique(each)).chain([(0, each)]).collect() }
    }
}
