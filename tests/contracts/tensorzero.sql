-- TensorZero's tables as its migrations of 2026 leave them, with a few rows of our own.
CREATE SCHEMA tensorzero;
CREATE TABLE tensorzero.chat_inferences (
    id UUID NOT NULL, function_name TEXT NOT NULL, variant_name TEXT NOT NULL, episode_id UUID NOT NULL,
    processing_time_ms INTEGER, ttft_ms INTEGER, tags JSONB NOT NULL DEFAULT '{}', snapshot_hash BYTEA,
    created_at TIMESTAMPTZ NOT NULL, PRIMARY KEY (id, created_at)
) PARTITION BY RANGE (created_at);
CREATE TABLE tensorzero.chat_inferences_default PARTITION OF tensorzero.chat_inferences DEFAULT;
CREATE TABLE tensorzero.json_inferences (
    id UUID NOT NULL, function_name TEXT NOT NULL, variant_name TEXT NOT NULL, episode_id UUID NOT NULL,
    processing_time_ms INTEGER, ttft_ms INTEGER, tags JSONB NOT NULL DEFAULT '{}', snapshot_hash BYTEA,
    created_at TIMESTAMPTZ NOT NULL, PRIMARY KEY (id, created_at)
) PARTITION BY RANGE (created_at);
CREATE TABLE tensorzero.json_inferences_default PARTITION OF tensorzero.json_inferences DEFAULT;
CREATE TABLE tensorzero.chat_inference_data (
    id UUID NOT NULL, input JSONB NOT NULL, output JSONB NOT NULL, inference_params JSONB NOT NULL,
    extra_body JSONB NOT NULL DEFAULT '[]', dynamic_tools JSONB NOT NULL DEFAULT '[]',
    dynamic_provider_tools JSONB NOT NULL DEFAULT '[]', allowed_tools JSONB, tool_choice JSONB,
    parallel_tool_calls BOOLEAN, created_at TIMESTAMPTZ NOT NULL, PRIMARY KEY (id, created_at)
) PARTITION BY RANGE (created_at);
CREATE TABLE tensorzero.chat_inference_data_default PARTITION OF tensorzero.chat_inference_data DEFAULT;
CREATE TABLE tensorzero.json_inference_data (
    id UUID NOT NULL, input JSONB NOT NULL, output JSONB NOT NULL, output_schema JSONB NOT NULL,
    inference_params JSONB NOT NULL, extra_body JSONB NOT NULL DEFAULT '[]', auxiliary_content JSONB NOT NULL,
    created_at TIMESTAMPTZ NOT NULL, PRIMARY KEY (id, created_at)
) PARTITION BY RANGE (created_at);
CREATE TABLE tensorzero.json_inference_data_default PARTITION OF tensorzero.json_inference_data DEFAULT;
CREATE TABLE tensorzero.model_inferences (
    id UUID NOT NULL, inference_id UUID NOT NULL, input_tokens INTEGER, output_tokens INTEGER,
    response_time_ms INTEGER, model_name TEXT NOT NULL, model_provider_name TEXT NOT NULL, ttft_ms INTEGER,
    cached BOOLEAN NOT NULL DEFAULT false, finish_reason TEXT, snapshot_hash BYTEA, created_at TIMESTAMPTZ NOT NULL,
    cost NUMERIC(18, 9), provider_cache_read_input_tokens INTEGER, provider_cache_write_input_tokens INTEGER,
    function_name TEXT NOT NULL DEFAULT '', variant_name TEXT NOT NULL DEFAULT '', PRIMARY KEY (id, created_at)
) PARTITION BY RANGE (created_at);
CREATE TABLE tensorzero.model_inferences_default PARTITION OF tensorzero.model_inferences DEFAULT;
CREATE TABLE tensorzero.boolean_metric_feedback (
    id UUID PRIMARY KEY, target_id UUID NOT NULL, metric_name TEXT NOT NULL, value BOOLEAN NOT NULL,
    tags JSONB NOT NULL DEFAULT '{}', snapshot_hash BYTEA, created_at TIMESTAMPTZ NOT NULL DEFAULT NOW()
);
CREATE TABLE tensorzero.float_metric_feedback (
    id UUID PRIMARY KEY, target_id UUID NOT NULL, metric_name TEXT NOT NULL, value DOUBLE PRECISION NOT NULL,
    tags JSONB NOT NULL DEFAULT '{}', snapshot_hash BYTEA, created_at TIMESTAMPTZ NOT NULL DEFAULT NOW()
);
CREATE TABLE tensorzero.comment_feedback (
    id UUID PRIMARY KEY, target_id UUID NOT NULL,
    target_type TEXT NOT NULL CHECK (target_type IN ('inference', 'episode')), value TEXT NOT NULL,
    tags JSONB NOT NULL DEFAULT '{}', snapshot_hash BYTEA, created_at TIMESTAMPTZ NOT NULL DEFAULT NOW()
);
CREATE TABLE tensorzero.demonstration_feedback (
    id UUID PRIMARY KEY, inference_id UUID NOT NULL, value JSONB NOT NULL, tags JSONB NOT NULL DEFAULT '{}',
    snapshot_hash BYTEA, created_at TIMESTAMPTZ NOT NULL DEFAULT NOW()
);

INSERT INTO tensorzero.chat_inferences VALUES
('00000000-0000-7000-8000-000000000001', 'route', 'v1', '00000000-0000-7000-8000-0000000000e1', 900, 200, '{}', NULL, '2026-05-01T09:00:01Z'),
('00000000-0000-7000-8000-000000000002', 'book', 'v1', '00000000-0000-7000-8000-0000000000e2', 900, NULL, '{}', NULL, '2026-05-01T09:01:01Z'),
('00000000-0000-7000-8000-000000000003', 'book', 'v1', '00000000-0000-7000-8000-0000000000e2', 900, NULL, '{}', NULL, '2026-05-01T09:02:01Z');
INSERT INTO tensorzero.chat_inference_data (id, input, output, inference_params, created_at) VALUES
('00000000-0000-7000-8000-000000000001', '{"system": "Route it.", "messages": [{"role": "user", "content": [{"type": "template", "name": "user", "arguments": {"mail": "to the pole"}}]}]}', '[{"type": "text", "text": "north"}]', '{}', '2026-05-01T09:00:01Z'),
('00000000-0000-7000-8000-000000000002', '{"messages": [{"role": "user", "content": [{"type": "text", "text": "a table"}]}]}', '[{"type": "thought", "text": "hm"}, {"type": "tool_call", "id": "c1", "raw_name": "free", "raw_arguments": "{}", "name": "free", "arguments": {}}]', '{}', '2026-05-01T09:01:01Z'),
('00000000-0000-7000-8000-000000000003', '{"messages": [{"role": "user", "content": [{"type": "text", "text": "and for four"}]}]}', '[{"type": "text", "text": "yes, four"}]', '{}', '2026-05-01T09:02:01Z');
INSERT INTO tensorzero.json_inferences VALUES
('00000000-0000-7000-8000-000000000004', 'extract', 'v1', '00000000-0000-7000-8000-0000000000e4', 900, NULL, '{}', NULL, '2026-05-01T09:03:01Z');
INSERT INTO tensorzero.json_inference_data (id, input, output, output_schema, inference_params, auxiliary_content, created_at) VALUES
('00000000-0000-7000-8000-000000000004', '{"messages": [{"role": "user", "content": [{"type": "text", "text": "who"}]}]}', '{"raw": "{\"name\": \"Ada\"}", "parsed": {"name": "Ada"}}', '{}', '{}', '[]', '2026-05-01T09:03:01Z');
INSERT INTO tensorzero.model_inferences (id, inference_id, input_tokens, output_tokens, model_name, model_provider_name, created_at, cost) VALUES
('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-000000000001', 20, 2, 'our-own-model', 'openai', '2026-05-01T09:00:01Z', 0.000123);
INSERT INTO tensorzero.boolean_metric_feedback (id, target_id, metric_name, value, created_at) VALUES
('00000000-0000-7000-8000-0000000000b1', '00000000-0000-7000-8000-000000000001', 'arrived', true, '2026-05-09T09:00:00Z'),
('00000000-0000-7000-8000-0000000000b2', '00000000-0000-7000-8000-0000000000ff', 'arrived', false, '2026-05-09T09:00:00Z');
INSERT INTO tensorzero.float_metric_feedback (id, target_id, metric_name, value, created_at) VALUES
('00000000-0000-7000-8000-0000000000b3', '00000000-0000-7000-8000-0000000000e1', 'joy', 0.5, '2026-06-09T09:00:00Z');
INSERT INTO tensorzero.comment_feedback (id, target_id, target_type, value) VALUES
('00000000-0000-7000-8000-0000000000b4', '00000000-0000-7000-8000-000000000001', 'inference', 'hm');
INSERT INTO tensorzero.demonstration_feedback (id, inference_id, value, created_at) VALUES
('00000000-0000-7000-8000-0000000000b5', '00000000-0000-7000-8000-000000000001', '[{"type": "text", "text": "south"}]', '2026-05-02T09:00:00Z'),
('00000000-0000-7000-8000-0000000000b6', '00000000-0000-7000-8000-000000000003', '[{"type": "text", "text": "no"}]', '2026-05-02T09:00:00Z');
