use shared::id::UserId;
use shared::models::PictureVersion;

use crate::db::{Conn, Result, Row};

/// A picture as this app has encoded it.
pub struct Picture {
    /// Which picture of the user it is, by their own app's word.
    pub version: PictureVersion,
    /// A JPEG.
    pub image: Vec<u8>,
}

/// The picture of a user that is kept here, if there is one; not always the latest of a peer's user.
pub async fn stored(conn: &mut Conn, user: UserId) -> Result<Option<Picture>> {
    const SELECT: &str = "SELECT version, image FROM pictures WHERE user_id = $1";
    let picture = |row: &Row| Ok(Picture { version: row.parse()?, image: row.take()? });
    conn.sql(SELECT).bind(user.uuid()).optional(picture).await
}

/// Keeps the picture of a user, in the place of the one before.
pub async fn keep(conn: &mut Conn, user: UserId, picture: &Picture) -> Result<()> {
    const INSERT: &str = "INSERT INTO pictures (user_id, version, image) VALUES ($1, $2, $3)
        ON CONFLICT (user_id) DO UPDATE SET version = excluded.version, image = excluded.image";
    conn.sql(INSERT)
        .bind(user.uuid())
        .bind(picture.version.to_string())
        .bind(picture.image.clone())
        .execute()
        .await
        .map(|_| ())
}

/// Keeps no picture of a user any more.
pub async fn forget(conn: &mut Conn, user: UserId) -> Result<()> {
    const DELETE: &str = "DELETE FROM pictures WHERE user_id = $1";
    conn.sql(DELETE).bind(user.uuid()).execute().await.map(|_| ())
}
