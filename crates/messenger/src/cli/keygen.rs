use std::io::Write;
use std::process::ExitCode;

use shared::encryption::Keyring;

/// Prints a Fernet key, or a `.env` file with fresh secrets with which both apps run on this machine.
pub fn run(env: bool) -> ExitCode {
    let key = Keyring::generate_key;
    let text = if env {
        format!(
            "# Made by `app-a keygen --env`; .env.example says what else can be set.\n\
             # What begins with APP_A_ or APP_B_ counts for that app alone.\n\
             FERNET_KEYS={}\n\
             RELAY_SECRET={}\n\
             APP_A_JWT_SECRET={}\n\
             APP_B_JWT_SECRET={}\n\
             APP_A_PEERS=app-b=http://127.0.0.1:8002\n\
             APP_B_PEERS=app-a=http://127.0.0.1:8001\n\
             DEBUG=true\n",
            key(),
            key(),
            key(),
            key()
        )
    } else {
        format!("{}\n", key())
    };
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
