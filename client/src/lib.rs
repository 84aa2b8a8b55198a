//! Logway room `client`.
