use super::*;

fn origin(n: u8) -> Origin {
    Origin { node: NodeId([n; 32]), epoch: 1 }
}

fn prefix(text: &str) -> Prefix {
    Prefix::new(text).expect("lawful")
}

fn cursor(below: &str) -> Cursor {
    let mut cursor = Cursor::beginning(Namespace::default(), prefix(below));
    cursor.insert([Dot::new(origin(1), 1), Dot::new(origin(1), 3)]);
    cursor
}

#[test]
fn a_cursor_reads_as_it_is_written_and_a_change_of_it_is_seen() {
    let text = cursor("users").to_string();
    assert_eq!(text.parse(), Ok(cursor("users")));
    for at in HEAD.len()..text.len() {
        let mut changed = text.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).expect("ASCII");
        assert!(changed.parse::<Cursor>().is_err(), "{at}");
        assert!(text[..at].parse::<Cursor>().is_err(), "{at}");
    }
    for garbage in ["c1.", "c1.AAAA", "c2.AAAA", "here", "?", "null"] {
        assert!(garbage.parse::<Cursor>().is_err(), "{garbage}");
    }
}

#[test]
fn what_it_says_of_local_keys_is_of_one_node_and_others_hand_it_on() {
    let (me, other) = (NodeId([9; 32]), NodeId([8; 32]));
    let mut told = Cursor::beginning(Namespace::default(), prefix("users"));
    told.insert([Dot::new(origin(9), 1), Dot::new(origin(9), 2)]);
    let mut floors = Floors::new();
    floors.deletes.insert(Dot::new(origin(9), 7));
    told.set_floors(floors);
    let both = cursor("users").with_local(me, 7, &told);
    let text = both.to_string();
    assert!(text.starts_with(HEAD_WITH_LOCAL) && !both.is_fresh());
    let mut read: Cursor = text.parse().expect("a cursor");
    assert_eq!(read, both);
    for at in HEAD_WITH_LOCAL.len()..text.len() {
        assert!(text[..at].parse::<Cursor>().is_err(), "{at}");
    }
    read = read.adopt(&Namespace::default(), &prefix("users/1"), other).expect("good there");
    assert_eq!(read.take_local(other), None);
    let (local, prefixes) = read.take_local(me).expect("handed on");
    assert_eq!(prefixes, 7);
    assert_eq!((local.seen(), &local.floors), (told.seen(), &told.floors));
    assert_eq!((read.take_local(me), read.to_string().starts_with(HEAD)), (None, true));
}

#[test]
fn a_frontier_is_a_cursor_of_everything() {
    let frontier = Frontier(SeenSet::from_iter([Dot::new(origin(1), 1)]));
    let cursor: Cursor = frontier.to_string().parse().expect("a cursor");
    let adopted = cursor.adopt(&Namespace::default(), &prefix("a"), NodeId([9; 32])).expect("of everything");
    assert_eq!(adopted.seen(), &frontier.0);
}

#[test]
fn a_cursor_serves_its_own_namespace_and_prefix_and_what_lies_below() {
    let me = NodeId([9; 32]);
    let of = |below: &str| cursor("users/1").adopt(&Namespace::default(), &prefix(below), me);
    assert!(of("users/1").is_ok() && of("users/1/name").is_ok());
    for below in ["", "users", "users/2", "users/10"] {
        assert!(matches!(of(below), Err(CursorError::OtherPrefix { .. })), "{below}");
    }
    let photos = Namespace::new("photos").expect("lawful");
    let error = cursor("users/1").adopt(&photos, &prefix("users/1"), me).expect_err("another one");
    assert!(matches!(error, CursorError::OtherNamespace { .. }), "{error}");
}

#[test]
fn a_cursor_kept_to_one_node_is_good_there_and_in_that_life_only() {
    let mut kept = cursor("");
    kept.keep_to(origin(1), &SeenSet::new());
    let here = |node| kept.clone().adopt(&Namespace::default(), &Prefix::all(), NodeId([node; 32]));
    assert!(here(1).is_ok());
    assert_eq!(here(2), Err(CursorError::OtherNode(NodeId([1; 32]))));
    assert!(kept.reaches(&Floors::new(), origin(1)));
    assert!(!kept.reaches(&Floors::new(), Origin { epoch: 2, ..origin(1) }));
}

#[test]
fn a_forgotten_delete_that_was_not_told_is_not_reached() {
    let floors = |seq| {
        let mut floors = Floors::new();
        floors.deletes.insert(Dot::new(origin(1), seq));
        floors
    };
    let mut cursor = cursor("");
    assert!(cursor.reaches(&floors(1), origin(9)));
    assert!(!cursor.reaches(&floors(3), origin(9)), "2 is missing, and may be a delete");
    cursor.set_floors(floors(3));
    assert!(cursor.reaches(&floors(3), origin(9)) && !cursor.reaches(&floors(4), origin(9)));
    let read: Cursor = cursor.to_string().parse().expect("a cursor");
    assert!(read.reaches(&floors(3), origin(9)));
    assert!(Cursor::beginning(Namespace::default(), Prefix::all()).reaches(&floors(9), origin(9)));
}
