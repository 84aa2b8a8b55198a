//! Logway room `broker`.
