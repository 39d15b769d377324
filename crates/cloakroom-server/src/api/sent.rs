//! A secret as a client sends it: text that is wiped when it has been used, and that nothing prints.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Deserializer};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, schema::Type},
};
use zeroize::Zeroizing;

/// A password or a refresh token in a body.
pub(super) struct Sent(pub(super) Zeroizing<String>);

impl<'de> Deserialize<'de> for Sent {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(|text| Self(Zeroizing::new(text)))
    }
}

impl fmt::Debug for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sent")
    }
}

impl PartialSchema for Sent {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(utoipa::openapi::SchemaFormat::Custom("password".into())))
            .build()
            .into()
    }
}

impl ToSchema for Sent {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Sent")
    }
}
