//! The wire format: .proto files and the types generated from them.
