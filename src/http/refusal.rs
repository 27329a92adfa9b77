//! What the node refuses, as problems.

use super::problem::{Code, Problem};
use crate::{
    node::{ConnectError, ReadError, StoreError, WriteError},
    types::{BATCH_BYTES_MAX, BATCH_OPERATIONS_MAX, KeyError, NamespaceError},
};

impl From<KeyError> for Problem {
    fn from(error: KeyError) -> Self {
        Self::new(Code::BadKey, error.to_string())
    }
}

impl From<NamespaceError> for Problem {
    fn from(error: NamespaceError) -> Self {
        Self::new(Code::BadNamespace, error.to_string())
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let code = match &error {
            StoreError::Full(_) => Code::DiskFull,
            StoreError::Poisoned(_) => Code::StorePoisoned,
            StoreError::Damaged(_) => Code::StoreDamaged,
            StoreError::Io(_) => Code::StoreFailed,
        };
        Self::new(code, error.to_string())
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        let detail = error.to_string();
        match error {
            ReadError::Key(error) => error.into(),
            ReadError::NoNamespace(_) => Self::new(Code::NoSuchNamespace, detail),
            ReadError::Store(error) => error.into(),
            ReadError::NeverMade(_) => super::params::bad("since", &detail),
            ReadError::Closed => Self::new(Code::Closed, detail),
        }
    }
}

impl From<WriteError> for Problem {
    fn from(error: WriteError) -> Self {
        let detail = error.to_string();
        match error {
            WriteError::Key(error) => error.into(),
            WriteError::ValueTooLarge { size, limit } => {
                Self::new(Code::ValueTooLarge, detail).with("size", size).with("limit", limit)
            }
            WriteError::BatchTooLarge { .. } => Self::new(Code::BatchTooLarge, detail)
                .with("operations_max", BATCH_OPERATIONS_MAX)
                .with("bytes_max", BATCH_BYTES_MAX),
            WriteError::Invalid { index, .. } => Self::new(Code::Invalid, detail).with("index", index),
            WriteError::Ttl { .. } => Self::new(Code::BadTtl, detail),
            WriteError::NothingThere { .. } => Self::new(Code::NoSuchKey, detail),
            WriteError::Precondition => Self::new(Code::PreconditionFailed, detail),
            WriteError::AlreadySet { index } => Self::new(Code::AlreadySet, detail).with("index", index),
            WriteError::UnknownBase => Self::new(Code::UnknownBase, detail),
            WriteError::TooManyBeside => Self::new(Code::TooManyBeside, detail),
            WriteError::TooManyWriters => Self::new(Code::TooManyWriters, detail),
            WriteError::NoNamespace(_) => Self::new(Code::NoSuchNamespace, detail),
            WriteError::Busy { retry_after } => Self::new(Code::Busy, detail).retry_after(retry_after),
            WriteError::Store(error) => error.into(),
            WriteError::Closed => Self::new(Code::Closed, detail),
        }
    }
}

impl From<ConnectError> for Problem {
    fn from(error: ConnectError) -> Self {
        let code = match error {
            ConnectError::Address(_) => Code::BadAddress,
            ConnectError::Closed => Code::Closed,
        };
        Self::new(code, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::response::IntoResponse;

    use super::*;
    use crate::types::Namespace;

    #[test]
    fn every_refusal_of_the_node_has_its_status_and_code() {
        let cases: Vec<(Problem, u16, &str)> = vec![
            (WriteError::Key(KeyError::Empty).into(), 400, "bad_key"),
            (WriteError::ValueTooLarge { size: 2, limit: 1 }.into(), 413, "value_too_large"),
            (WriteError::BatchTooLarge { operations: 2, bytes: 1 }.into(), 413, "batch_too_large"),
            (WriteError::Invalid { index: 0, reason: "x".into() }.into(), 422, "invalid"),
            (WriteError::Ttl { ttl: Duration::ZERO }.into(), 400, "bad_ttl"),
            (WriteError::NothingThere { index: 0 }.into(), 404, "no_such_key"),
            (WriteError::Precondition.into(), 412, "precondition_failed"),
            (WriteError::AlreadySet { index: 0 }.into(), 409, "already_set"),
            (WriteError::UnknownBase.into(), 412, "unknown_base"),
            (WriteError::TooManyBeside.into(), 409, "too_many_beside"),
            (WriteError::NoNamespace(Namespace::default()).into(), 404, "no_such_namespace"),
            (WriteError::Busy { retry_after: Duration::from_millis(5) }.into(), 429, "busy"),
            (WriteError::Store(StoreError::Full("x".into())).into(), 507, "disk_full"),
            (WriteError::Store(StoreError::Poisoned("x".into())).into(), 503, "store_poisoned"),
            (WriteError::Closed.into(), 503, "closed"),
            (ReadError::Store(StoreError::Damaged("x".into())).into(), 500, "store_damaged"),
            (ReadError::Store(StoreError::Io("x".into())).into(), 500, "store_failed"),
            (ReadError::Closed.into(), 503, "closed"),
            (ConnectError::Address("x".into()).into(), 400, "bad_address"),
        ];
        for (problem, status, code) in cases {
            assert_eq!(problem.code().as_str(), code);
            assert_eq!(problem.into_response().status(), status, "{code}");
        }
    }

    #[test]
    fn busy_says_when_to_come_back() {
        let problem = Problem::from(WriteError::Busy { retry_after: Duration::from_millis(5) });
        assert_eq!(problem.into_response().headers()["retry-after"], "1");
    }
}
