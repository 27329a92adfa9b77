use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{KINDS, Topology, parts::parts};
use crate::dice::Dice;

fn kinds() -> impl Strategy<Value = Topology> {
    prop_oneof![
        (0..KINDS.len() - 1).prop_map(|kind| Topology::named(KINDS[kind]).expect("a kind")),
        (1_usize..6).prop_map(|fan_out| Topology::Tree { fan_out }),
        (0.01..1.5).prop_map(|radius| Topology::Geometric { radius: Some(radius) }),
        (1_usize..4, 0.0..=1.0).prop_map(|(half, rewire)| Topology::SmallWorld { degree: 2 * half, rewire }),
        (1_usize..5).prop_map(|links| Topology::ScaleFree { links }),
        (2_usize..6).prop_map(|islands| Topology::Islands { islands }),
    ]
}

proptest! {
    #[test]
    fn a_mesh_is_connected_without_loops_or_doubles_and_inside_of_its_drawing(
        topology in kinds(), nodes in 1_usize..60, seed: u64
    ) {
        let Ok(layout) = topology.draw(nodes, &mut Dice::new(seed)) else {
            prop_assert!(nodes < 8, "{topology:?} of {nodes}");
            return Ok(());
        };
        let mut links = BTreeSet::new();
        for &(from, to) in &layout.links {
            prop_assert!(from < nodes && to < nodes && from != to);
            prop_assert!(links.insert((from.min(to), from.max(to))), "{from} {to} twice");
        }
        prop_assert_eq!(parts(nodes, &layout.links).len(), 1);
        prop_assert_eq!(layout.places.len(), nodes);
        prop_assert!(layout.places.iter().all(|(x, y)| (0.0..=1.0).contains(x) && (0.0..=1.0).contains(y)));
        prop_assert!(layout.ferry.iter().all(|link| layout.links.contains(link)));
        let again = topology.draw(nodes, &mut Dice::new(seed));
        prop_assert_eq!(again.as_ref(), Ok(&layout));
    }

    #[test]
    fn any_mesh_is_one_that_so_many_nodes_can_form(nodes in 1_usize..20, seed: u64) {
        let topology = Topology::any(nodes, &mut Dice::new(seed));
        prop_assert_eq!(topology.check(nodes), Ok(()));
    }

    #[test]
    fn nodes_do_not_stand_upon_each_other(nodes in 2_usize..60, kind in 0..KINDS.len() - 1) {
        let topology = Topology::named(KINDS[kind]).expect("a kind");
        prop_assume!(topology.check(nodes).is_ok() && !matches!(topology, Topology::Geometric { .. }));
        let layout = topology.draw(nodes, &mut Dice::new(7)).expect("possible");
        let places: BTreeSet<String> = layout.places.iter().map(|place| format!("{place:?}")).collect();
        prop_assert_eq!(places.len(), nodes, "{:?}", layout.places);
    }
}

fn links(topology: &Topology, nodes: usize) -> Vec<(usize, usize)> {
    let mut links = topology.draw(nodes, &mut Dice::new(1)).expect("possible").links;
    links.sort_unstable();
    links
}

#[test]
fn small_shapes_are_what_their_names_say() {
    assert_eq!(links(&Topology::Line, 3), [(0, 1), (1, 2)]);
    assert_eq!(links(&Topology::Ring, 3), [(0, 1), (0, 2), (1, 2)]);
    assert_eq!(links(&Topology::Star, 4), [(0, 1), (0, 2), (0, 3)]);
    assert_eq!(links(&Topology::Grid, 4), [(0, 1), (0, 2), (1, 3), (2, 3)]);
    assert_eq!(links(&Topology::Tree { fan_out: 4 }, 6), [(0, 1), (0, 2), (0, 3), (0, 4), (1, 5)]);
    assert_eq!(links(&Topology::Dumbbell, 4), [(0, 1), (0, 2), (2, 3)]);
    assert_eq!(links(&Topology::Dumbbell, 5), [(0, 1), (0, 4), (2, 3), (2, 4)]);
    assert_eq!(links(&Topology::Islands { islands: 2 }, 5), [(0, 1), (0, 4), (2, 3), (2, 4)]);
}

#[test]
fn a_shape_that_is_not_possible_says_what_to_do() {
    let why = |topology: Topology, nodes| topology.check(nodes).expect_err("not possible");
    assert_eq!(why(Topology::Grid, 1), "a grid needs at least 2 nodes, not 1: raise `nodes`, or take `full`");
    assert!(why(Topology::SmallWorld { degree: 6, rewire: 0.1 }, 6).contains("take a `degree` below 6"));
    assert!(why(Topology::SmallWorld { degree: 3, rewire: 0.1 }, 6).contains("even number"));
    assert!(why(Topology::SmallWorld { degree: 4, rewire: 1.1 }, 6).contains("no share"));
    assert!(why(Topology::Islands { islands: 5 }, 5).contains("at least 6 nodes"));
    assert!(why(Topology::Edges(vec![(0, 1), (1, 7)]), 3).contains("names node 7, but the nodes are 0 to 2"));
    assert!(why(Topology::Edges(vec![(0, 1), (2, 2)]), 3).contains("with itself"));
    assert!(why(Topology::Edges(vec![(0, 1), (1, 0)]), 2).contains("twice"));
    assert!(why(Topology::Edges(vec![(0, 1)]), 4).contains("lead from node 0 to [2]"));
}
