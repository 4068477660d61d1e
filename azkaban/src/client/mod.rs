//! Placeholder: the HTTP client.
