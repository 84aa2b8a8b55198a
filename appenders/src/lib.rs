//! Logway room `appenders`.
