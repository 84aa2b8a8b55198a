//! Logway room `pipeline`.
