DROP TABLE token_keys;
DROP TABLE user_sessions;
DROP TABLE users;
