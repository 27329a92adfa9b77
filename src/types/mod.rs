//! The nouns of the store as a user sees them: keys, values, namespaces, and the limits they keep.
//!
//! Everything here is checked when it is made, so that the rest of the program never meets a key
//! with an empty segment or a namespace that is no file name.

mod by_prefix;
mod content_type;
mod key;
mod limits;
mod local_prefixes;
mod namespace;
mod uuid;
mod value;

pub use by_prefix::ByPrefix;
pub use content_type::{ContentType, ContentTypeError};
pub use key::{KEY_BYTES_MAX, Key, KeyError, Prefix};
pub use limits::{
    BATCH_BYTES_MAX, BATCH_OPERATIONS_MAX, BLOB_BYTES_MAX, INLINE_BYTES_MAX, Limits, NAMESPACES_MAX,
    VALUE_BYTES_MAX,
};
pub use local_prefixes::{LOCAL_PREFIXES_MAX, LocalPrefixes, LocalPrefixesError, Locals};
pub use namespace::{Namespace, NamespaceError};
pub use uuid::Uuid;
pub use value::Value;
