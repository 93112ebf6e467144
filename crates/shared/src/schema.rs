//! How the types that write themselves as text stand in the OpenAPI description.

use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::address::{Address, AppName, Username};
use crate::encryption::{Ciphertext, SealedContent};
use crate::time::Timestamp;

macro_rules! texts {
    ($($name:ty: $description:literal, $example:literal, $with:expr;)*) => {$(
        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let text = ObjectBuilder::new()
                    .schema_type(Type::String)
                    .description(Some($description))
                    .examples([$example]);
                let with: fn(ObjectBuilder) -> ObjectBuilder = $with;
                with(text).into()
            }
        }

        impl ToSchema for $name {}
    )*};
}

texts! {
    Timestamp: "A moment (RFC 3339), in UTC and to the microsecond.", "2026-01-31T12:00:00.123456Z",
        |text| text.format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
    AppName: "The name of an app, the part of an address after the @.", "app-a",
        |text| text.pattern(Some("^[a-z0-9][a-z0-9-]{0,62}$"));
    Username: "Unique in its app without regard to case.", "alice",
        |text| text.min_length(Some(3)).max_length(Some(150)).pattern(Some("^[A-Za-z0-9_.+-]{3,150}$"));
    Address: "A person, wherever their account is: `username@app-name`.", "bob@app-b",
        |text| text.pattern(Some("^[A-Za-z0-9_.+-]{3,150}@[a-z0-9][a-z0-9-]{0,62}$"));
    Ciphertext: "A text, not blank; it is sealed before anything else is done with it.", "Dinner at eight?",
        |text| text.min_length(Some(1)).max_length(Some(20_000));
    SealedContent: "The text, byte for byte as it was sent.", "Dinner at eight?", |text| text;
}
