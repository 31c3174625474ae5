-- What the application and the ledger keep in MySQL; the same text for both flavours.
-- Statements end with a semicolon at the end of a line; a template is rebuilt whenever this file changes.

CREATE DATABASE filetransfer CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

CREATE TABLE filetransfer.users (
    id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    email VARCHAR(190) NOT NULL,
    display_name VARCHAR(100) NOT NULL,
    created_at DATETIME(6) NOT NULL,
    UNIQUE KEY users_email (email)
) ENGINE = InnoDB;

CREATE TABLE filetransfer.files (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    owner_id INT UNSIGNED NOT NULL,
    name VARCHAR(255) NOT NULL,
    size_bytes BIGINT UNSIGNED NOT NULL,
    checksum CHAR(64) CHARACTER SET ascii NOT NULL,
    content MEDIUMBLOB NULL,
    upload_key BIGINT UNSIGNED NULL,
    created_at DATETIME(6) NOT NULL,
    UNIQUE KEY files_upload_key (upload_key),
    KEY files_owner (owner_id, created_at),
    KEY files_checksum (checksum),
    CONSTRAINT files_of_user FOREIGN KEY (owner_id) REFERENCES filetransfer.users (id)
) ENGINE = InnoDB;

CREATE TABLE filetransfer.transfers (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    file_id BIGINT UNSIGNED NOT NULL,
    recipient_id INT UNSIGNED NULL,
    status ENUM ('queued', 'completed', 'failed', 'cancelled') NOT NULL,
    created_at DATETIME(6) NOT NULL,
    completed_at DATETIME(6) NULL,
    KEY transfers_file (file_id),
    KEY transfers_recipient (recipient_id, created_at),
    KEY transfers_status (status, created_at),
    CONSTRAINT transfers_of_file FOREIGN KEY (file_id) REFERENCES filetransfer.files (id) ON DELETE CASCADE,
    CONSTRAINT transfers_to_user FOREIGN KEY (recipient_id) REFERENCES filetransfer.users (id)
) ENGINE = InnoDB;

CREATE TABLE filetransfer.transfer_events (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    transfer_id BIGINT UNSIGNED NOT NULL,
    kind VARCHAR(20) CHARACTER SET ascii NOT NULL,
    at DATETIME(6) NOT NULL,
    KEY transfer_events_transfer (transfer_id, at),
    CONSTRAINT events_of_transfer FOREIGN KEY (transfer_id) REFERENCES filetransfer.transfers (id) ON DELETE CASCADE
) ENGINE = InnoDB;

CREATE TABLE filetransfer.thumbnails (
    file_id BIGINT UNSIGNED NOT NULL PRIMARY KEY,
    width SMALLINT UNSIGNED NOT NULL,
    height SMALLINT UNSIGNED NOT NULL,
    image BLOB NOT NULL,
    CONSTRAINT thumbnails_of_file FOREIGN KEY (file_id) REFERENCES filetransfer.files (id) ON DELETE CASCADE
) ENGINE = InnoDB;

CREATE DATABASE ftchaos CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- One row for each acknowledged write of the ledger's database writers; the content is derived from the id.
CREATE TABLE ftchaos.ledger_writes (
    id BIGINT UNSIGNED NOT NULL PRIMARY KEY,
    content VARCHAR(64) CHARACTER SET ascii NOT NULL,
    written_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)
) ENGINE = InnoDB;
