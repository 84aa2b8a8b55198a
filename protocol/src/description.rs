//! The form in which messages are written down, and what it expands to.
//!
//! `fields!` describes structures, one line a field, readable beside Kafka's protocol guide:
//!
//! ```text
//! name: Type = default, versions, nullable(versions), tag(number), ignorable(true);
//! ```
//!
//! Only name, type and versions are required. An `Option` without `nullable` may be null in all
//! its versions. A field that is set to something else than its default in a version that has no
//! place for it makes the message unwritable, unless it is `ignorable`: then it is left out.
//! `api!` ties a request to its response, key and versions; `data!` names a message that is no
//! request (a record of an internal topic, a header).

/// The default of a field: the one written, or the type's own.
macro_rules! field_default {
    () => {
        Default::default()
    };
    ($default:expr) => {
        $default
    };
}

/// Whether a field is tagged.
macro_rules! is_tagged {
    () => {
        false
    };
    ($tag:literal) => {
        true
    };
}

/// The number of a tagged field; 0 stands in where there is none.
macro_rules! tag_number {
    () => {
        0
    };
    ($tag:literal) => {
        $tag
    };
}

/// Whether a field may be dropped where the version has no place for it.
macro_rules! is_ignorable {
    () => {
        false
    };
    ($ignorable:literal) => {
        $ignorable
    };
}

/// Sets the field if it is the one that tells a client to be silent; whether it is.
macro_rules! set_throttle {
    ($this:ident, $value:ident, throttle_time_ms) => {{
        $this.throttle_time_ms = $value;
        true
    }};
    ($this:ident, $value:ident, $other:ident) => {
        false
    };
}

/// Structures with their fields; see the module's text.
macro_rules! fields {
    ($(
        $(#[$meta:meta])*
        pub struct $name:ident {
            $(
                $(#[$field_meta:meta])*
                $field:ident: $ty:ty $(= $default:expr)?, $versions:expr
                $(, nullable($nullable:expr))? $(, tag($tag:literal))? $(, ignorable($ignorable:literal))?;
            )*
        }
    )*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $(
                $(#[$field_meta])*
                #[doc = concat!("In versions `", stringify!($versions), "`.")]
                pub $field: $ty,
            )*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: field_default!($($default)?),)* }
            }
        }

        impl $crate::wire::Structure for $name {}

        #[cfg(test)]
        impl $crate::random::Random for $name {
            fn random(source: &mut $crate::random::Source) -> Self {
                let version = source.version();
                let mut this = Self::default();
                $(
                    if std::ops::RangeBounds::contains(&($versions), &version) {
                        this.$field = $crate::random::Random::random(source);
                        $(
                            while $crate::wire::Wire::is_null(&this.$field)
                                && !std::ops::RangeBounds::contains(&($nullable), &version)
                            {
                                this.$field = $crate::random::Random::random(source);
                            }
                        )?
                    }
                )*
                this
            }
        }

        impl $crate::wire::Wire for $name {
            #[allow(unused_mut, unused_assignments)]
            fn encode(
                &self,
                out: &mut $crate::codec::Encoder,
            ) -> Result<(), $crate::codec::EncodeError> {
                let version = out.version();
                let mut tagged: u32 = 0;
                $(
                    let name = concat!(stringify!($name), ".", stringify!($field));
                    if std::ops::RangeBounds::contains(&($versions), &version) {
                        $(
                            if $crate::wire::Wire::is_null(&self.$field)
                                && !std::ops::RangeBounds::contains(&($nullable), &version)
                            {
                                return Err($crate::codec::EncodeError::Null { field: name, version });
                            }
                        )?
                        if !is_tagged!($($tag)?) {
                            $crate::wire::Wire::encode(&self.$field, out)?;
                        } else if $crate::description::is_set(&self.$field, &field_default!($($default)?)) {
                            tagged |= 1 << tag_number!($($tag)?);
                        }
                    } else if !is_ignorable!($($ignorable)?)
                        && $crate::description::is_set(&self.$field, &field_default!($($default)?))
                    {
                        return Err($crate::codec::EncodeError::NotInVersion { field: name, version });
                    }
                )*
                if out.flexible() {
                    out.put_uvarint(tagged.count_ones());
                    $($(
                        if tagged & (1 << $tag) != 0 {
                            out.put_tagged($tag, |out| $crate::wire::Wire::encode(&self.$field, out))?;
                        }
                    )?)*
                }
                Ok(())
            }

            fn set_throttle_time_ms(&mut self, _throttle_time_ms: i32) -> bool {
                let _this = self;
                false $(| set_throttle!(_this, _throttle_time_ms, $field))*
            }

            fn decode(
                input: &mut $crate::codec::Decoder,
            ) -> Result<Self, $crate::codec::DecodeError> {
                let version = input.version();
                let mut this = Self::default();
                $(
                    if !is_tagged!($($tag)?)
                        && std::ops::RangeBounds::contains(&($versions), &version)
                    {
                        this.$field = $crate::wire::Wire::decode(input)?;
                        $(
                            if $crate::wire::Wire::is_null(&this.$field)
                                && !std::ops::RangeBounds::contains(&($nullable), &version)
                            {
                                let field = concat!(stringify!($name), ".", stringify!($field));
                                return Err($crate::codec::DecodeError::Null { field, version });
                            }
                        )?
                    }
                )*
                if input.flexible() {
                    input.get_tagged(|tag, _content| match tag {
                        $($(
                            $tag if std::ops::RangeBounds::contains(&($versions), &version) => {
                                this.$field = $crate::wire::Wire::decode(_content)?;
                                Ok(true)
                            }
                        )?)*
                        _ => Ok(false),
                    })?;
                }
                Ok(this)
            }
        }
    )*};
}

/// Whether a field differs from its default.
pub(crate) fn is_set<T: PartialEq>(value: &T, default: &T) -> bool {
    value != default
}

/// A message that is no request: its versions and the first flexible one (or `never`).
macro_rules! data {
    ($name:ident, versions $versions:expr, flexible never) => {
        data!($name, versions $versions, flexible i16::MAX);
    };
    ($name:ident, versions $versions:expr, flexible $flexible:expr) => {
        impl $crate::message::Message for $name {
            const NAME: &'static str = stringify!($name);
            const VERSIONS: std::ops::RangeInclusive<i16> = $versions;
            const FLEXIBLE_FROM: i16 = $flexible;
        }
    };
}

/// A request and its response.
macro_rules! api {
    ($key:ident: $request:ident => $response:ident, versions $versions:expr, flexible $flexible:tt) => {
        data!($request, versions $versions, flexible $flexible);
        data!($response, versions $versions, flexible $flexible);

        impl $crate::message::Request for $request {
            const KEY: $crate::api_key::ApiKey = $crate::api_key::ApiKey::$key;
            type Response = $response;
        }
    };
}
