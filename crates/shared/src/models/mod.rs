//! What the API takes and gives, the same on both apps.
//!
//! Message content is an [`Ciphertext`](crate::encryption::Ciphertext) on its way in and a
//! [`SealedContent`](crate::encryption::SealedContent) on its way out: nothing here can hold a text in the clear.

mod conversation;
mod message;
mod page;
mod receipt;
mod user;

pub use conversation::{
    Conversation, ConversationKind, EditConversation, EditParticipant, NewConversation,
    NewParticipants, Participant, Role,
};
pub use message::{EditMessage, InboxMessage, Message, NewMessage, Status};
pub use page::Page;
pub use receipt::Receipt;
pub use user::{AccountRole, AddedBy, PictureVersion, Profile, UserCard, fold, is_name};
