//! The parameters that routes share, each with its meaning.

use serde_json::{Value, json};

/// A parameter of the path.
pub(super) fn in_path(name: &str) -> Value {
    let meaning = match name {
        "key" | "path" => "A key: 1 to 1,024 bytes, segments joined by `/`, none of them empty, `.` or `..`.",
        "prefix" => "Whole segments of keys.",
        "id" => "A peer id (12D3Koo…).",
        _ => "The name of a namespace.",
    };
    let schema = json!({ "type": "string", "minLength": 1 });
    json!({ "name": name, "in": "path", "required": true, "description": meaning, "schema": schema })
}

/// A parameter of the query, or a header.
pub(super) fn named(name: &str) -> Value {
    let text = || json!({ "type": "string" });
    let switch = || json!({ "type": "boolean" });
    let up_to = |most: usize| json!({ "type": "integer", "minimum": 1, "maximum": most });
    let (place, meaning, schema) = match name {
        "ns" => (
            "query",
            "The namespace; `default` if not given.",
            json!({ "type": "string", "pattern": "^[a-z0-9][a-z0-9._-]{0,63}$" }),
        ),
        "meta" => ("query", "JSON with all that is known of the value, in the place of its bytes.", switch()),
        "wait" => ("query", "How long to wait for `Tidings-At-Least`: `5s`, `250ms`; 25 s at most.", text()),
        "ttl" => ("query", "Expires the value: a number and ms, s, m, h or d; a century at most.", text()),
        "limit" => ("query", "How many at most.", up_to(1_000)),
        "limit_scan" => ("query", "How many at most.", up_to(10_000)),
        "limit_changes" => ("query", "How many at most.", up_to(crate::node::CHANGES_LIMIT_MAX)),
        "after" => ("query", "Go on behind this key.", text()),
        "reverse" => ("query", "Descending.", switch()),
        "keys_only" => ("query", "Without values.", switch()),
        "since" => ("query", "A cursor that an earlier answer gave.", text()),
        "peer" => ("query", "With this neighbour only (12D3Koo…).", text()),
        "direction" => (
            "query",
            "`pull`: take, and give nothing; `push`: give, and take nothing; `both`, if not given.",
            json!({ "type": "string", "enum": ["pull", "push", "both"] }),
        ),
        "since_frontier" => ("query", "A frontier that an earlier answer gave.", text()),
        "snapshot" => ("query", "First everything that stands there, then the changes.", switch()),
        "Tidings-At-Least" => ("header", "A frontier that must have been seen.", text()),
        "Tidings-Base" => ("header", "The ETag of what the write was made from.", text()),
        "If-Match" | "If-None-Match" => ("header", "`*`, or ETags in quotes (RFC 9110).", text()),
        "Last-Event-ID" => ("header", "The cursor to go on from.", text()),
        _ => unreachable!("the tests have built the document"),
    };
    // The same word means several things.
    let name = name.split('_').next().filter(|short| matches!(*short, "limit" | "since")).unwrap_or(name);
    json!({ "name": name, "in": place, "description": meaning, "schema": schema })
}
