//! Files that make no sense, and what a person is told.

use crate::scenario::Scenario;

/// Five lines; what a test adds begins at line 6.
const HEAD: &str =
    "about = 'A test.'\nnodes = 5\nduration = '3m'\ntopology = { kind = 'ring' }\nwork = { rate = 1 }\n";

fn said(text: &str) -> String {
    match Scenario::parse("x.toml", text) {
        Ok(_) => "nothing is wrong".into(),
        Err(problem) => problem.to_string(),
    }
}

/// What is said of the usual text with a line replaced.
fn instead(line: &str, by: &str) -> String {
    assert!(HEAD.contains(line));
    said(&HEAD.replace(line, by))
}

#[track_caller]
fn is(said: &str, expected: &str) {
    assert_eq!(said, expected);
}

#[track_caller]
fn fault(table: &str, expected: &str) {
    is(&said(&format!("{HEAD}[[at]]\n{table}")), expected);
}

#[track_caller]
fn work(table: &str, expected: &str) {
    is(&instead("work = { rate = 1 }", &format!("[work]\n{table}")), expected);
}

#[track_caller]
fn topology(table: &str, expected: &str) {
    is(&instead("topology = { kind = 'ring' }", &format!("topology = {{ {table} }}")), expected);
}

#[test]
fn the_usual_text_is_right() {
    is(&said(HEAD), "nothing is wrong");
    fault("time = '1m'\nfault = 'crash'\nnode = 4\nfor = '5s'", "nothing is wrong");
}

#[test]
fn an_unknown_key_is_named_with_the_nearest_known() {
    is(
        &instead("nodes = 5", "nodes = 5\nduratoin = '1m'"),
        "x.toml:3: unknown key `duratoin`: did you mean `duration`?",
    );
    work(
        "rate = 1\nbananas = 1",
        "x.toml:7: unknown key `bananas`: take one of from, until, rate, count, spacing, keys, prefix, distribution, exponent, hot, value, large, reads, deletes, batches, batch, writers",
    );
    fault(
        "time = '1m'\nfault = 'crash'\nnode = 4\nfro = '5s'",
        "x.toml:10: unknown key `fro`: did you mean `for`?",
    );
    fault("time = '1m'\nfault = 'crush'\nnode = 4", "x.toml:8: there is no `crush`: did you mean `crash`?");
    topology("kind = 'rign'", "x.toml:4: there is no topology `rign`: did you mean `ring`?");
    topology(
        "kind = 'ring', degree = 4",
        "x.toml:4: `degree` means nothing for the topology `ring`: remove it",
    );
    is(
        &said(&format!("{HEAD}[settings]\nstore = 'fjal'")),
        "x.toml:7: there is no `fjal`: did you mean `fjall`?",
    );
    is(
        &said(&format!("{HEAD}[expect]\nagree_in = '3s'")),
        "x.toml:7: unknown key `agree_in`: did you mean `agree_within`?",
    );
    fault(
        "time = '1m'\nfault = 'crash'\ngroups = 2",
        "x.toml:9: `groups` means nothing for a `crash`, which takes for, nodes: remove it",
    );
}

#[test]
fn what_is_missing_is_named() {
    is(
        &instead("duration = '3m'\n", ""),
        "x.toml:1: `duration` is missing: add it (the documentation of `sims::scenario` has an example)",
    );
    is(
        &instead("work = { rate = 1 }", ""),
        "x.toml:1: nobody does anything: add a `[work]` with `rate = 2.0` or `count = 100`",
    );
    work(
        "keys = 4",
        "x.toml:5: work of no operation: set `rate = 2.0`, operations per second, or `count = 100`",
    );
    work("rate = 0", "x.toml:6: `rate = 0` means no work: take operations per second, above 0");
    work("count = 0", "x.toml:6: work of no operation: set `count = 100`, or another number");
    work("rate = 1\ncount = 7", "x.toml:7: `rate` and `count` exclude each other: remove one");
    fault(
        "time = '1m'\nfault = 'partition'",
        "x.toml:8: `groups` is missing: a `partition` needs it, as `groups = 2`",
    );
    fault(
        "time = '1m'\nfault = 'clock'\nnode = 1",
        "x.toml:8: `skew` is missing: a `clock` needs it, as `skew = \"-5m\"`",
    );
    topology("kind = 'edges'", "x.toml:4: `edges` is missing: list them, as `edges = [[0, 1], [1, 2]]`");
}

#[test]
fn a_topology_that_is_not_possible_says_why() {
    is(
        &said(&HEAD.replace("nodes = 5", "nodes = 1").replace("'ring'", "'grid'")),
        "x.toml:4: a grid needs at least 2 nodes, not 1: raise `nodes`, or take `full`",
    );
    topology(
        "kind = 'small-world', degree = 6",
        "x.toml:4: a node cannot have 6 links among 5 nodes: take a `degree` below 5, or more `nodes`",
    );
    topology(
        "kind = 'islands', islands = 7",
        "x.toml:4: 7 islands and a ferry need at least 8 nodes, not 5: take fewer `islands`, or more `nodes`",
    );
    topology(
        "kind = 'edges', edges = [[0, 1], [1, 9]]",
        "x.toml:4: the edge [1, 9] names node 9, but the nodes are 0 to 4: correct it, or raise `nodes`",
    );
    is(
        &instead("nodes = 5", "nodes = '2..5'"),
        "x.toml:4: a ring needs at least 3 nodes, not 2: raise `nodes`, or take `full`",
    );
}

#[test]
fn values_that_are_none_say_how_to_write_them() {
    is(
        &instead("'3m'", "'soon'"),
        "x.toml:3: `\"soon\"` is not a duration: write `\"90s\"`, `\"1m 30s\"`, `\"250ms\"`, or a range as `\"1s..5s\"`",
    );
    is(
        &instead("'3m'", "180"),
        "x.toml:3: `180` is not a duration: write `\"90s\"`, `\"1m 30s\"`, `\"250ms\"`, or a range as `\"1s..5s\"`",
    );
    is(
        &instead("nodes = 5", "nodes = '9..4'"),
        "x.toml:2: the range `\"9..4\"` ends before it begins: swap its ends",
    );
    is(
        &instead("nodes = 5", "nodes = -5"),
        "x.toml:2: `-5` is not a number: write `10`, or a range as `\"3..10\"`",
    );
    is(&instead("nodes = 5", "nodes = 0"), "x.toml:2: a simulation needs nodes: set `nodes = 3` or more");
    work(
        "rate = 1\nvalue = '5Mib'",
        "x.toml:7: `\"5Mib\"` is not a number of bytes: write `2000`, `\"64KiB\"`, `\"5MiB\"`, or a range as `\"16..2KiB\"`",
    );
    work("rate = 1\nvalue = 3", "x.toml:7: a value needs 16 bytes at least, to be told from all others");
    work("rate = 1\nreads = 1.5", "x.toml:7: `reads = 1.5` is no share: take one from 0.0 to 1.0");
    work(
        "rate = 1\nreads = 0.6\ndeletes = 0.6",
        "x.toml:8: `reads`, `deletes` and `batches` are 1.20 together: take at most 1.0; what is left are puts",
    );
    work("rate = 1\nbatch = 2000", "x.toml:7: a batch takes 1000 puts at most: lower `batch`");
    let prefix = instead("work = { rate = 1 }", "[work]\nrate = 1\nprefix = '/'");
    assert!(prefix.starts_with("x.toml:7: keys with this `prefix` are none: "), "{prefix}");
    work("rate = 1\nkeys = 0", "x.toml:7: 0 keys: take 1 to 1000000");
    work(
        "rate = 1\nwriters = [0, 5]",
        "x.toml:7: there is no node 5: the nodes are 0 to 4; correct it, or raise `nodes`",
    );
    work("rate = 1\nwriters = []", "x.toml:7: this names no node: name one, or take `\"any\"`");
    work("rate = 1e9", "x.toml:5: 180000000000 operations: 1000000 is the most; lower `rate` or `count`");
    work(
        "rate = 1\nvalue = '1GiB'",
        "x.toml:7: a value of 1073741824 bytes: 16777216 is the most that a node takes",
    );
}

#[test]
fn times_out_of_order_say_which() {
    fault(
        "time = '5m'\nfault = 'crash'\nnode = 4",
        "x.toml:7: a fault at 5m, but the scenario ends at 3m: move it, or set `duration`",
    );
    fault(
        "time = '2m'\nfault = 'crash'\nnode = 4\nfor = '2m'",
        "x.toml:10: a fault at 2m for 2m is put right after the scenario ends at 3m: shorten `for`, or set `duration`",
    );
    fault(
        "time = '2m'\nfault = 'crash'\nnode = 4\nfor = '0s'",
        "x.toml:10: a fault for no time: set `for`, or leave it out where it stays for good",
    );
    work(
        "rate = 1\nfrom = '2m'\nuntil = '1m'",
        "x.toml:8: work from 2m until 1m: it must end after it begins",
    );
    work(
        "rate = 1\nuntil = '1h'",
        "x.toml:7: work until 1h, but the scenario ends at 3m: lower `until`, or set `duration`",
    );
    is(
        &said(&format!("{HEAD}[weather]\nevery = '5s'\nuntil = '9m'")),
        "x.toml:8: weather until 9m, but the scenario ends at 3m: lower it, or set `duration`",
    );
}

#[test]
fn groups_that_part_nobody_say_so() {
    let of = |groups: &str| format!("time = '1m'\nfault = 'partition'\ngroups = {groups}\nfor = '5s'");
    fault(&of("[[0], ['1..4']]"), "nothing is wrong");
    fault(&of("[[0], { random = 2 }]"), "nothing is wrong");
    fault(&of("[[0, 1], [1, 2]]"), "x.toml:9: node 1 is in two groups: groups have no node in common");
    fault(&of("[[0], []]"), "x.toml:9: this names no node: name one, or take `\"any\"`");
    fault(
        &of("[[0], [7]]"),
        "x.toml:9: there is no node 7: the nodes are 0 to 4; correct it, or raise `nodes`",
    );
    fault(&of("[[0, 0], [1]]"), "x.toml:9: node 0 is named twice: remove one");
    fault(
        &of("1"),
        "x.toml:9: a partition into 1 group parts nobody: nodes in no group keep their links; take 2 groups",
    );
    fault(&of("6"), "x.toml:9: 6 groups of 5 nodes: take fewer groups");
    fault(
        &of("'halves'"),
        "x.toml:9: these are no groups: write `2` (so many, by chance), or lists as `[[0, 1], [\"2..4\"]]`",
    );
}

#[test]
fn faults_that_nodes_cannot_have_say_why() {
    let join = |node: &str| format!("time = '1m'\nfault = 'join'\nnode = {node}");
    fault(&join("2"), "x.toml:9: node 2 is there from the beginning, it cannot join: name it in `late`");
    fault(
        &join("'any'"),
        "x.toml:9: 1 nodes by chance, but only 0 are free for it: take fewer, or raise `nodes`",
    );
    let late = |at: &str| said(&HEAD.replace("nodes = 5", "nodes = 5\nlate = [2]").replace("work", at));
    is(&late("work"), "x.toml:3: node 2 is late, but never joins: add an `[[at]]` with `fault = \"join\"`");
    let head = HEAD.replace("nodes = 5", "nodes = 5\nlate = [2]");
    is(&said(&format!("{head}[[at]]\n{}", join("'any'"))), "nothing is wrong");
    is(
        &said(&format!("{head}[[at]]\n{}\nfor = '3s'", join("2"))),
        "x.toml:11: `for` means nothing for a `join`, which takes nodes: remove it",
    );
    let early = "[[at]]\ntime = '30s'\nfault = 'crash'\nnode = 2\nfor = '5s'";
    is(
        &said(&format!("{head}{early}\n[[at]]\n{}", join("2"))),
        "x.toml:10: node 2 is down at that time already: move one of the two faults",
    );
    fault(
        "time = '1m'\nfault = 'crash'\nnode = 4\n[[at]]\ntime = '2m'\nfault = 'leave'\nnode = 4",
        "x.toml:13: node 4 is down at that time already: move one of the two faults",
    );
    fault(
        "time = '1m'\nfault = 'leave'\nnodes = 'all'",
        "x.toml:6: all nodes are down at the end: give one of the faults a time with `for`",
    );
    fault(
        "time = '1m'\nfault = 'crash'\nnodes = { random = 9 }",
        "x.toml:9: 9 nodes by chance, but only 5 are free for it: take fewer, or raise `nodes`",
    );
}

#[test]
fn links_that_are_not_there_say_which_are() {
    let cut = |links: &str| format!("time = '1m'\nfault = 'cut'\nlinks = {links}\nfor = '5s'");
    fault(&cut("[[0, 1]]"), "nothing is wrong");
    fault(&cut("{ of = 3 }"), "nothing is wrong");
    fault(&cut("[[0, 2]]"), "x.toml:9: no link leads from node 0 to node 2: node 0 is linked with [1, 4]");
    fault(
        &cut("[[0, 8]]"),
        "x.toml:9: there is no node 8: the nodes are 0 to 4; correct it, or raise `nodes`",
    );
    fault(
        &cut("'some'"),
        "x.toml:9: these are no links: write `[[0, 1], [1, 2]]`, `\"any\"`, `\"all\"`, `{ random = 2 }`, or `{ of = 3 }` for all links of node 3",
    );
}
