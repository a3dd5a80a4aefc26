//! Reading functions: each takes a node and returns a value, or reports what is wrong and returns `None`.
//!
//! [`text`](mod@text) reads strings and names, [`number`] numbers and measures, [`shape`] lists, maps and places,
//! [`secret`](mod@secret) what is never shown, [`tls`] how a client speaks TLS. Their functions are used as `read::string`.

pub mod number;
pub mod secret;
pub mod shape;
pub mod text;
pub mod tls;

pub use crate::condition::condition;
pub use number::{
    Quantity, bool, duration, duration_in, float, integer, quantity, size, size_in, value,
};
pub use secret::{secret, secret_file};
pub use shape::{list_of, located, map_of, node, non_empty, path};
pub use text::{choice, label_name, labels, service, string, text, unit, url};
pub use tls::{ClientTls, client_tls, pem_file};

pub(crate) use shape::elements;
