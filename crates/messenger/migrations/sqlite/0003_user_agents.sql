-- What a client called itself at log-in, for the list of devices.
ALTER TABLE sessions ADD COLUMN user_agent TEXT NOT NULL DEFAULT '';
