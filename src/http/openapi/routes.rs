//! What each route takes and answers. A route that is not here fails a test.

use super::super::problem::Code;

/// A route, at all its paths.
pub(super) struct Route {
    pub(super) paths: &'static [&'static str],
    pub(super) operations: &'static [Operation],
}

/// What one method does.
pub(super) struct Operation {
    pub(super) method: &'static str,
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    pub(super) parameters: &'static [&'static str],
    pub(super) body: Body,
    pub(super) answers: &'static [Given],
    pub(super) refusals: &'static [&'static [Code]],
}

/// What a request brings.
#[derive(Clone, Copy)]
pub(super) enum Body {
    None,
    Json(&'static str),
    Patch,
    Bytes(&'static str),
    Value,
}

/// An answer that is no refusal.
pub(super) struct Given {
    pub(super) status: u16,
    pub(super) shape: Shape,
    pub(super) meaning: &'static str,
    pub(super) frontier: bool,
}

/// What it brings.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    Nothing,
    Json(&'static str),
    Text(&'static str),
    Bytes(&'static str),
    Value,
}

const fn given(status: u16, shape: Shape, meaning: &'static str) -> Given {
    Given { status, shape, meaning, frontier: false }
}

const fn seen(status: u16, shape: Shape, meaning: &'static str) -> Given {
    Given { status, shape, meaning, frontier: true }
}

const fn get(
    id: &'static str,
    summary: &'static str,
    parameters: &'static [&'static str],
    answers: &'static [Given],
    refusals: &'static [&'static [Code]],
) -> Operation {
    Operation { method: "get", id, summary, parameters, body: Body::None, answers, refusals }
}

use Code as C;

/// Before any route is asked.
const DOOR: &[Code] = &[
    C::MissingHost,
    C::BadHost,
    C::BadOrigin,
    C::TokenMissing,
    C::TokenUnknown,
    C::TokenExpired,
    C::TokenScope,
    C::TokenPrefix,
    C::Forbidden,
];
const QUERY: &[Code] =
    &[C::UnknownParameter, C::BadParameter, C::BadNamespace, C::NoSuchNamespace, C::Closed];
const STORE: &[Code] = &[C::StoreDamaged, C::StoreFailed, C::StorePoisoned, C::DiskFull];
const KEY: &[Code] = &[C::BadKey];
const GONE: &[Code] = &[C::NoSuchKey];
const HEADER: &[Code] = &[C::BadHeader];
const SEEN: &[Code] = &[C::BadHeader, C::ForeignFrontier, C::NotSeen];
const CURSOR: &[Code] = &[C::BadCursor, C::ForeignFrontier];
const BODY: &[Code] = &[C::BadBody, C::BodyTimeout, C::BadContentType, C::BadJson, C::Busy];
const VALUE: &[Code] = &[C::ValueTooLarge];
const WRITE: &[Code] = &[
    C::Busy,
    C::PreconditionFailed,
    C::AlreadySet,
    C::TooManyBeside,
    C::TooManyWriters,
    C::UnknownBase,
    C::NotSupported,
    C::Invalid,
];
const TIME: &[Code] = &[C::Timeout];

/// What reading needs, and what may come of it.
const READ: &[&[Code]] = &[DOOR, QUERY, KEY, STORE, TIME];
const NODE: &[&[Code]] = &[DOOR, QUERY, STORE, TIME];

const WRITTEN: Given = seen(200, Shape::Json("Written"), "It is written.");
const VALUE_NOTE: &str = "The value, with its content type; `?meta=true`: JSON.";

/// All of them.
pub(super) const ROUTES: &[Route] = &[
    Route { paths: &["/v1/kv/{key}", "/v1/kv/"], operations: KV },
    Route {
        paths: &["/v1/batch"],
        operations: &[Operation {
            method: "post",
            id: "batch",
            summary: "Several writes: all or none.",
            parameters: &[],
            body: Body::Json("Batch"),
            answers: &[seen(200, Shape::Json("BatchResults"), "All were done.")],
            refusals: &[
                DOOR,
                QUERY,
                KEY,
                GONE,
                BODY,
                VALUE,
                WRITE,
                STORE,
                TIME,
                &[C::BadBatch, C::BatchTooLarge, C::BadTtl],
            ],
        }],
    },
    Route {
        paths: &["/v1/history/{key}", "/v1/history/"],
        operations: &[get(
            "history",
            "Earlier versions of a key, newest first.",
            &["wait", "Tidings-At-Least"],
            &[given(200, Shape::Json("History"), "None, if none are kept.")],
            &[DOOR, QUERY, KEY, SEEN, STORE, TIME],
        )],
    },
    Route {
        paths: &["/v1/scan", "/v1/scan/", "/v1/scan/{prefix}"],
        operations: &[get(
            "scan",
            "Keys in order, a page at a time.",
            &["limit_scan", "after", "reverse", "keys_only", "wait", "Tidings-At-Least"],
            &[seen(200, Shape::Json("ScanPage"), "A page.")],
            &[DOOR, QUERY, KEY, SEEN, STORE, TIME],
        )],
    },
    Route {
        paths: &["/v1/changes", "/v1/changes/", "/v1/changes/{prefix}"],
        operations: &[get(
            "changes",
            "What changed since a cursor, a page at a time.",
            &["since", "limit_changes", "Last-Event-ID", "wait", "Tidings-At-Least"],
            &[given(200, Shape::Json("ChangesPage"), "A page, and where to go on.")],
            &[DOOR, QUERY, KEY, CURSOR, SEEN, STORE, TIME, &[C::CursorTooOld, C::Busy]],
        )],
    },
    Route {
        paths: &["/v1/watch", "/v1/watch/", "/v1/watch/{prefix}"],
        operations: &[get(
            "watch",
            "Changes as server-sent events: change, lagged, reset, error.",
            &["since", "snapshot", "Last-Event-ID", "wait", "Tidings-At-Least"],
            &[given(200, Shape::Text("text/event-stream"), "Events, until somebody has enough.")],
            &[DOOR, QUERY, KEY, CURSOR, SEEN, STORE, &[C::Busy]],
        )],
    },
    Route {
        paths: &["/v1/conflicts", "/v1/conflicts/", "/v1/conflicts/{prefix}"],
        operations: &[get(
            "conflicts",
            "Keys with concurrent versions.",
            &["limit", "after", "wait", "Tidings-At-Least"],
            &[given(200, Shape::Json("ConflictsPage"), "A page.")],
            &[DOOR, QUERY, KEY, SEEN, STORE, TIME],
        )],
    },
    Route {
        paths: &["/v1/explain/{key}", "/v1/explain/"],
        operations: &[get(
            "explain",
            "The whole story of a key.",
            &["wait", "Tidings-At-Least"],
            &[given(200, Shape::Json("Explanation"), "All that is stored about it.")],
            &[DOOR, QUERY, KEY, GONE, SEEN, STORE, TIME],
        )],
    },
    Route {
        paths: &["/v1/status"],
        operations: &[get(
            "status",
            "What the node is and does.",
            &[],
            &[given(200, Shape::Json("Status"), "Now.")],
            NODE,
        )],
    },
    Route {
        paths: &["/v1/peers"],
        operations: &[
            get(
                "peers",
                "Who is connected or known.",
                &[],
                &[given(200, Shape::Json("Peers"), "Now.")],
                NODE,
            ),
            Operation {
                method: "post",
                id: "connect",
                summary: "Dial an address from now on; the answer does not wait for the connection.",
                parameters: &[],
                body: Body::Json("Address"),
                answers: &[given(200, Shape::Json("Address"), "It is dialled.")],
                refusals: &[DOOR, QUERY, BODY, STORE, TIME, &[C::BodyTooLarge, C::BadAddress]],
            },
        ],
    },
    Route { paths: &["/v1/peers/{id}/block"], operations: &[blocking("block", "Cut a peer off.")] },
    Route { paths: &["/v1/peers/{id}/unblock"], operations: &[blocking("unblock", "Let it back in.")] },
    Route {
        paths: &["/v1/sync"],
        operations: &[
            get(
                "sync_status",
                "The truth about agreement: of all namespaces, or of the one that is named.",
                &[],
                &[given(200, Shape::Json("SyncStatus"), "As far as it is known.")],
                NODE,
            ),
            Operation {
                method: "post",
                id: "sync",
                summary: "One round with every neighbour now, or with one; both ways, or one; of all namespaces, or of the one that is named.",
                parameters: &["peer", "direction"],
                body: Body::None,
                answers: &[given(200, Shape::Json("SyncReport"), "What was exchanged.")],
                refusals: &[DOOR, QUERY, STORE, TIME, &[C::BadPeerId, C::NotConnected]],
            },
        ],
    },
    Route {
        paths: &["/v1/namespaces"],
        operations: &[
            get(
                "namespaces",
                "What this node carries.",
                &[],
                &[given(200, Shape::Json("Namespaces"), "By name.")],
                NODE,
            ),
            Operation {
                method: "post",
                id: "join",
                summary: "Carry a namespace from now on, over restarts.",
                parameters: &[],
                body: Body::Json("Join"),
                answers: &[
                    given(200, Shape::Json("Joined"), "It was carried already."),
                    given(201, Shape::Json("Joined"), "It is carried now."),
                ],
                refusals: &[DOOR, QUERY, BODY, STORE, TIME, &[C::BodyTooLarge, C::TooManyNamespaces]],
            },
        ],
    },
    Route {
        paths: &["/v1/namespaces/{ns}"],
        operations: &[Operation {
            method: "delete",
            id: "leave",
            summary: "Carry it here no more; its data is removed from this node only.",
            parameters: &[],
            body: Body::None,
            answers: &[given(200, Shape::Json("Left"), "It is not carried any more.")],
            refusals: &[DOOR, QUERY, STORE, TIME, &[C::AlwaysCarried]],
        }],
    },
    Route {
        paths: &["/v1/digest"],
        operations: &[get(
            "digest",
            "What the node holds, in one hash.",
            &["wait", "Tidings-At-Least"],
            &[given(200, Shape::Json("Digest"), "Now.")],
            &[DOOR, QUERY, SEEN, STORE, TIME],
        )],
    },
    Route {
        paths: &["/v1/dropped"],
        operations: &[get(
            "dropped",
            "What the node gave up because a peer knew it to be dead, newest first.",
            &["limit"],
            &[given(200, Shape::Json("Dropped"), "As far as it is kept.")],
            NODE,
        )],
    },
    Route {
        paths: &["/v1/export"],
        operations: &[get(
            "export",
            "A bundle of what the node holds, beyond a frontier.",
            &["since_frontier"],
            &[given(200, Shape::Bytes(BUNDLE), "One without the bundle's end broke off.")],
            &[DOOR, QUERY, STORE, &[C::Busy, C::ForeignFrontier]],
        )],
    },
    Route {
        paths: &["/v1/import"],
        operations: &[Operation {
            method: "post",
            id: "import",
            summary: "Take a bundle in.",
            parameters: &[],
            body: Body::Bytes(BUNDLE),
            answers: &[given(200, Shape::Json("Imported"), "All of it was read.")],
            refusals: &[
                DOOR,
                QUERY,
                KEY,
                BODY,
                VALUE,
                WRITE,
                STORE,
                &[C::BadBundle, C::BatchTooLarge, C::BadTtl, C::NoSuchKey],
            ],
        }],
    },
    Route {
        paths: &["/healthz"],
        operations: &[get(
            "live",
            "Whether the process lives.",
            &[],
            &[given(200, Shape::Text("text/plain"), "It does.")],
            &[DOOR, QUERY, TIME],
        )],
    },
    Route {
        paths: &["/readyz"],
        operations: &[get(
            "ready",
            "Whether reads and writes are answered.",
            &[],
            &[given(200, Shape::Json("Health"), "They are.")],
            &[DOOR, QUERY, TIME, &[C::NotReady]],
        )],
    },
    Route {
        paths: &["/metrics"],
        operations: &[get(
            "metrics",
            "Numbers for Prometheus.",
            &[],
            &[given(200, Shape::Text("application/openmetrics-text"), "OpenMetrics.")],
            &[DOOR, QUERY, TIME],
        )],
    },
    Route {
        paths: &["/openapi.json"],
        operations: &[get(
            "openapi",
            "This document.",
            &[],
            &[given(200, Shape::Json("Any"), "OpenAPI 3.1.")],
            &[DOOR, QUERY, TIME],
        )],
    },
    Route {
        paths: &["/api/status"],
        operations: &[get(
            "api_status",
            "What the node is.",
            &[],
            &[given(200, Shape::Json("ApiStatus"), "Now.")],
            NODE,
        )],
    },
    Route {
        paths: &["/api/scan", "/api/scan/", "/api/scan/{prefix}"],
        operations: &[get(
            "api_scan",
            "Keys in order.",
            &["limit_scan"],
            &[given(200, Shape::Json("ApiScan"), "1,000 of them, unless `limit` says otherwise.")],
            READ,
        )],
    },
    Route {
        paths: &["/api/history/{path}"],
        operations: &[get(
            "api_history",
            "Earlier values, newest first.",
            &[],
            &[given(200, Shape::Json("ApiHistory"), "None, if none are kept.")],
            READ,
        )],
    },
    Route { paths: &["/api/{path}"], operations: API },
];

const BUNDLE: &str = "application/vnd.tidings.bundle";

const BLOCKED: &[Given] = &[given(200, Shape::Json("Blocked"), "From now on, over restarts, too.")];

const fn blocking(id: &'static str, summary: &'static str) -> Operation {
    Operation {
        method: "post",
        id,
        summary,
        parameters: &[],
        body: Body::None,
        answers: BLOCKED,
        refusals: &[DOOR, QUERY, STORE, TIME, &[C::BadPeerId]],
    }
}

const KV: &[Operation] = &[
    get(
        "get",
        "A value.",
        &["meta", "wait", "If-Match", "If-None-Match", "Tidings-At-Least"],
        &[seen(200, Shape::Value, VALUE_NOTE), given(304, Shape::Nothing, "It is what you have.")],
        &[DOOR, QUERY, KEY, GONE, SEEN, STORE, TIME, &[C::PreconditionFailed]],
    ),
    Operation {
        method: "put",
        id: "put",
        summary: "Store the body.",
        parameters: &["ttl", "If-Match", "If-None-Match", "Tidings-Base"],
        body: Body::Value,
        answers: &[WRITTEN],
        refusals: &[DOOR, QUERY, KEY, HEADER, BODY, VALUE, WRITE, STORE, TIME, &[C::BadTtl]],
    },
    Operation {
        method: "patch",
        id: "patch",
        summary: "Merge a patch (RFC 7396) into the visible value.",
        parameters: &["If-Match"],
        body: Body::Patch,
        answers: &[WRITTEN],
        refusals: &[DOOR, QUERY, KEY, GONE, HEADER, BODY, VALUE, WRITE, STORE, TIME],
    },
    Operation {
        method: "delete",
        id: "delete",
        summary: "Delete what stands there.",
        parameters: &["If-Match", "Tidings-Base"],
        body: Body::None,
        answers: &[WRITTEN],
        refusals: &[DOOR, QUERY, KEY, GONE, HEADER, WRITE, STORE, TIME],
    },
    Operation {
        method: "post",
        id: "post",
        summary: "Store the body under a fresh key (UUIDv7) below the prefix; the path ends in `/`.",
        parameters: &["ttl"],
        body: Body::Value,
        answers: &[seen(201, Shape::Json("Written"), "It is written; `Location` says where.")],
        refusals: &[DOOR, QUERY, KEY, HEADER, BODY, VALUE, WRITE, STORE, TIME, &[C::BadTtl]],
    },
];

const API: &[Operation] = &[
    get(
        "api_get",
        "A value.",
        &[],
        &[given(200, Shape::Json("ApiValue"), "It stands there.")],
        &[DOOR, QUERY, KEY, GONE, STORE, TIME],
    ),
    Operation {
        method: "put",
        id: "api_put",
        summary: "Store the JSON that the body is.",
        parameters: &[],
        body: Body::Json("Any"),
        answers: &[given(200, Shape::Json("ApiWritten"), "It is written.")],
        refusals: &[DOOR, QUERY, KEY, BODY, VALUE, WRITE, STORE, TIME],
    },
    Operation {
        method: "delete",
        id: "api_delete",
        summary: "Delete what stands there.",
        parameters: &[],
        body: Body::None,
        answers: &[given(200, Shape::Json("ApiDeleted"), "It is gone.")],
        refusals: &[DOOR, QUERY, KEY, GONE, WRITE, STORE, TIME],
    },
];
