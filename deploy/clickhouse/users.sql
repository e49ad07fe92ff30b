-- Users of a ClickHouse server for Qianshao, with no more than each needs. Run once as an administrator:
--
--   clickhouse-client --queries-file deploy/clickhouse/users.sql \
--     --param_writer_password "$(cat writer.password)" --param_reader_password "$(cat reader.password)"
--
-- The database is `clickhouse.database`, the writer `clickhouse.user`, the reader `grafana.clickhouse_user`.
-- Statements can be run again.

CREATE DATABASE IF NOT EXISTS qianshao;

-- Limits of whoever reads. 2, not 1: ClickHouse's own clients and Grafana's plugin send settings with each query, which
-- read-only mode 1 refuses; here they may, but none that lifts a limit, and writing is refused either way.
CREATE SETTINGS PROFILE IF NOT EXISTS qianshao_reading SETTINGS
    readonly = 2 CONST,
    allow_ddl = 0 CONST,
    allow_introspection_functions = 0 CONST,
    max_execution_time = 10 MIN 1 MAX 10,
    max_memory_usage = 2000000000 MIN 1 MAX 2000000000,
    max_result_rows = 1000000 MIN 1 MAX 1000000,
    max_result_bytes = 256000000 MIN 1 MAX 256000000,
    max_concurrent_queries_for_user = 16 CONST;

-- Rows are acknowledged only once they are stored, whatever a default says.
CREATE SETTINGS PROFILE IF NOT EXISTS qianshao_writing SETTINGS
    async_insert = 0,
    max_partitions_per_insert_block = 0;

CREATE USER IF NOT EXISTS qianshao_writer IDENTIFIED WITH sha256_password BY {writer_password:String}
    DEFAULT DATABASE qianshao SETTINGS PROFILE 'qianshao_writing';

CREATE USER IF NOT EXISTS qianshao_reader IDENTIFIED WITH sha256_password BY {reader_password:String}
    DEFAULT DATABASE qianshao SETTINGS PROFILE 'qianshao_reading';

-- Writing rows, and migrating our own tables and views; nothing outside the database, no table function, no user.
GRANT SELECT, INSERT, CREATE TABLE, CREATE VIEW, ALTER TABLE, DROP TABLE ON qianshao.* TO qianshao_writer;

-- Reading, and seeing which tables and columns there are.
GRANT SELECT, SHOW TABLES, SHOW COLUMNS, SHOW DATABASES ON qianshao.* TO qianshao_reader;
