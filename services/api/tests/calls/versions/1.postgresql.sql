CREATE TABLE public.call_grams (
    seq bigint NOT NULL,
    grams text[] NOT NULL,
    folded text NOT NULL
);
CREATE TABLE public.call_stages (
    seq bigint NOT NULL,
    stage text NOT NULL,
    run integer NOT NULL,
    report text NOT NULL,
    digest text,
    value text
);
CREATE TABLE public.call_texts (
    seq bigint NOT NULL,
    text text NOT NULL
);
CREATE TABLE public.call_verdicts (
    seq bigint NOT NULL,
    element text NOT NULL,
    verdict text NOT NULL
);
CREATE TABLE public.calls (
    seq bigint NOT NULL,
    id text NOT NULL,
    status text NOT NULL,
    revision integer NOT NULL,
    content text,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    happened_at bigint NOT NULL,
    change bigint NOT NULL,
    run integer NOT NULL,
    submitted_run integer NOT NULL,
    finished_run integer NOT NULL,
    wanted text,
    metadata text NOT NULL,
    priority text NOT NULL,
    sha256 text NOT NULL,
    recording text NOT NULL,
    reference text,
    agent_id text,
    product_type text,
    started_at bigint,
    progress text,
    error text,
    healing_state text NOT NULL,
    healing_next_at bigint,
    healing_since bigint,
    healing text NOT NULL,
    webhook text,
    duration double precision,
    score double precision,
    needs_human boolean NOT NULL,
    sentence text,
    speakers text
);
CREATE TABLE public.calls_schema (
    version integer NOT NULL
);
CREATE SEQUENCE public.calls_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.calls_seq_seq OWNED BY public.calls.seq;
CREATE TABLE public.counters (
    name text NOT NULL,
    value bigint NOT NULL
);
CREATE TABLE public.idempotency_keys (
    key text NOT NULL,
    body text NOT NULL,
    seq bigint
);
CREATE TABLE public.recordings (
    sha256 text NOT NULL,
    bytes bigint NOT NULL,
    calls integer NOT NULL
);
ALTER TABLE ONLY public.calls ALTER COLUMN seq SET DEFAULT nextval('public.calls_seq_seq'::regclass);
INSERT INTO public.call_grams VALUES (1, '{00000a,00000a00b124,00aca0,00aca000c2b5,00ae08,00ae0800c774,00b124,00b12400c54c,00b155,00b15500d558,00b2c8,00b2c800b2e4,00b2e4,00b2e400000a,00b429,00b42900b2c8,00bcf4,00bcf400c7a5,00c138,00c13800c694,00c2b5,00c2b500b2c8,00c548,00c54800b155,00c54c,00c54c00aca0,00c694,00c69400c6d0,00c6d0,00c6d000ae08,00c774,00c77400bcf4,00c7a5,00c7a500b429,00d558,00d55800c138}', '안녕하세요원금이보장됩니다
네알겠습니다');
INSERT INTO public.call_grams VALUES (2, '{00b294,00b29400c5c6,00b2c8,00b2c800b2e4,00b2e4,00b8cc,00b8cc00b294,00c218,00c21800b8cc,00c21800c218,00c2b5,00c2b500b2c8,00c5c6,00c5c600c2b5}', '수수료는없습니다');
INSERT INTO public.call_stages VALUES (1, 'stt', 1, '{"stage":"stt","status":"ok","backend":"whisper","model":null,"attempts":[],"breaker":null,"seconds":0.0,"error_type":null,"error":null}', '67d0ae0681ed91a8d1987e01a542998ece016b0fe13113c65eb6344a1eb41770', '{"language":"ko","duration":12.5,"model":"whisper-base","channels":"mono","utterances":[{"id":"u1","speaker":"agent","start":null,"end":null,"text":"안녕하세요 원금이 보장됩니다","confidence":null},{"id":"u2","speaker":"agent","start":null,"end":null,"text":"네 알겠습니다","confidence":null}],"words":null,"suspect":[],"masked":0}');
INSERT INTO public.call_stages VALUES (1, 'analysis', 1, '{"stage":"analysis","status":"ok","backend":"vllm","model":null,"attempts":[],"breaker":null,"seconds":0.0,"error_type":null,"error":null}', '77e0ba025c83cb78790e15229e40f6fe5bb9f811eb2f30376b684b8bf9268b0a', '{"status":"complete","elements":[{"id":"UNF-01","name":"UNF-01","article":"법 제19조","polarity":"must_say","mode":"hybrid","severity":"high","verdict":"위반의심","confidence":0.9,"needs_human":true,"needs_legal_review":false,"judge":"nobody","reason":null,"evidence":[]}],"score":40.0,"totals":{"met":0,"partly_met":0,"unmet":0,"suspected":0,"not_applicable":0,"not_evaluated":0,"needs_human":0},"rule_set":"fcpa-kr","rule_set_version":"1","model":null,"backend":null,"prompt_version":null,"reason":null}');
INSERT INTO public.call_stages VALUES (1, 'summary', 1, '{"stage":"summary","status":"ok","backend":"vllm","model":null,"attempts":[],"breaker":null,"seconds":0.0,"error_type":null,"error":null}', 'ab992f49ade96738035f952488f9923666a044bde9d9531139a23039d14fce53', '{"sentence":"고객이 보험을 물었다.","reason":"보험 문의","actions":"설명했다"}');
INSERT INTO public.call_stages VALUES (2, 'stt', 1, '{"stage":"stt","status":"ok","backend":"whisper","model":null,"attempts":[],"breaker":null,"seconds":0.0,"error_type":null,"error":null}', 'aed08366de2a6607bf01b8b867fed70a1fada2d299d95f9c204c22d428bb18cc', '{"language":"ko","duration":12.5,"model":"whisper-base","channels":"mono","utterances":[{"id":"u1","speaker":"agent","start":null,"end":null,"text":"수수료는 없습니다","confidence":null}],"words":null,"suspect":[],"masked":0}');
INSERT INTO public.call_stages VALUES (2, 'analysis', 1, '{"stage":"analysis","status":"dummy","backend":null,"model":null,"attempts":[],"breaker":null,"seconds":0.0,"error_type":null,"error":"no backend"}', NULL, NULL);
INSERT INTO public.call_stages VALUES (2, 'summary', 1, '{"stage":"summary","status":"dummy","backend":null,"model":null,"attempts":[],"breaker":null,"seconds":0.0,"error_type":null,"error":"no backend"}', NULL, NULL);
INSERT INTO public.call_texts VALUES (1, '안녕하세요 원금이 보장됩니다
네 알겠습니다');
INSERT INTO public.call_texts VALUES (2, '수수료는 없습니다');
INSERT INTO public.call_verdicts VALUES (1, 'UNF-01', '위반의심');
INSERT INTO public.calls VALUES (1, 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'complete', 1, '4584e96f348fb76bb31184e81ed8eb9f3583c96c51e040459d1dd8b7a178b24a', 1795323600000000, 1795323600000000, 1795323600000000, 6, 1, 1, 1, NULL, '{"product_type":"보장성","channel":"phone","started_at":null,"agent_id":"a-1","customer_type":null,"language":null,"channels":null,"hotwords":null,"webhook_url":"https://hook.example/x","agent_url":null,"agent_request_format":"prompt_based","rule_set":null,"priority":"batch","reference":"r-1"}', 'batch', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', '{"sha256":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","bytes":7,"media_type":"audio/wav","filename":"통화.wav"}', 'r-1', 'a-1', '보장성', NULL, NULL, NULL, 'none', NULL, NULL, '{"state":"none","missing":[],"attempts":0,"since":null,"next_at":null,"reason":null}', NULL, 12.5, 40, true, '고객이 보험을 물었다.', '["agent"]');
INSERT INTO public.calls VALUES (3, 'cccccccccccccccccccccccccccccccc', 'queued', 0, NULL, 1795323600000000, 1795323600000000, 1795323600000000, 13, 1, 0, 0, NULL, '{"product_type":null,"channel":"phone","started_at":null,"agent_id":null,"customer_type":null,"language":null,"channels":null,"hotwords":null,"webhook_url":null,"agent_url":null,"agent_request_format":"prompt_based","rule_set":null,"priority":"batch","reference":null}', 'batch', 'cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc', '{"sha256":"cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc","bytes":7,"media_type":"audio/wav","filename":"통화.wav"}', NULL, NULL, NULL, NULL, NULL, NULL, 'none', NULL, NULL, '{"state":"none","missing":[],"attempts":0,"since":null,"next_at":null,"reason":null}', NULL, NULL, NULL, false, NULL, NULL);
INSERT INTO public.calls VALUES (2, 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', 'partial', 1, '5080b0e1e11c48408076742252be32ab62cd98960383b0f7f6867fd32f1cae7b', 1795323600000000, 1795323600000000, 1795323600000000, 12, 1, 1, 1, NULL, '{"product_type":"대출성","channel":"phone","started_at":null,"agent_id":null,"customer_type":null,"language":null,"channels":null,"hotwords":null,"webhook_url":null,"agent_url":null,"agent_request_format":"prompt_based","rule_set":null,"priority":"batch","reference":null}', 'batch', 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', '{"sha256":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","bytes":7,"media_type":"audio/wav","filename":"통화.wav"}', NULL, NULL, '대출성', NULL, NULL, NULL, 'waiting', 1795323600000000, 1795323600000000, '{"state":"waiting","missing":["analysis","summary"],"attempts":0,"since":"2026-11-22T05:00:00Z","next_at":"2026-11-22T05:00:00Z","reason":null}', NULL, 12.5, NULL, false, NULL, '["agent"]');
INSERT INTO public.calls_schema VALUES (1);
INSERT INTO public.counters VALUES ('scrub', 0);
INSERT INTO public.counters VALUES ('change', 13);
INSERT INTO public.idempotency_keys VALUES ('bfb4b02e898fdb6fc1e44b29335c0d3a936d76717cd59afaa05eceaa802dca1b', 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', 1);
INSERT INTO public.recordings VALUES ('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 7, 1);
INSERT INTO public.recordings VALUES ('bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', 7, 1);
INSERT INTO public.recordings VALUES ('cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc', 7, 1);
SELECT pg_catalog.setval('public.calls_seq_seq', 3, true);
ALTER TABLE ONLY public.call_grams
    ADD CONSTRAINT call_grams_pkey PRIMARY KEY (seq);
ALTER TABLE ONLY public.call_stages
    ADD CONSTRAINT call_stages_pkey PRIMARY KEY (seq, stage);
ALTER TABLE ONLY public.call_texts
    ADD CONSTRAINT call_texts_pkey PRIMARY KEY (seq);
ALTER TABLE ONLY public.call_verdicts
    ADD CONSTRAINT call_verdicts_pkey PRIMARY KEY (seq, element);
ALTER TABLE ONLY public.calls
    ADD CONSTRAINT calls_id_key UNIQUE (id);
ALTER TABLE ONLY public.calls
    ADD CONSTRAINT calls_pkey PRIMARY KEY (seq);
ALTER TABLE ONLY public.counters
    ADD CONSTRAINT counters_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT idempotency_keys_pkey PRIMARY KEY (key);
ALTER TABLE ONLY public.recordings
    ADD CONSTRAINT recordings_pkey PRIMARY KEY (sha256);
CREATE INDEX calls_by_age ON public.calls USING btree (created_at);
CREATE INDEX calls_by_agent ON public.calls USING btree (agent_id, seq);
CREATE INDEX calls_by_change ON public.calls USING btree (change);
CREATE INDEX calls_by_day ON public.calls USING btree (happened_at);
CREATE INDEX calls_by_gram ON public.call_grams USING gin (grams);
CREATE INDEX calls_by_healing ON public.calls USING btree (healing_state, healing_next_at);
CREATE INDEX calls_by_product ON public.calls USING btree (product_type, seq);
CREATE INDEX calls_by_reference ON public.calls USING btree (reference);
CREATE INDEX calls_by_status ON public.calls USING btree (status, seq);
CREATE INDEX calls_by_verdict ON public.call_verdicts USING btree (verdict, element, seq);
CREATE INDEX ix_idempotency_keys_seq ON public.idempotency_keys USING btree (seq);
CREATE INDEX recordings_unused ON public.recordings USING btree (calls);
ALTER TABLE ONLY public.call_grams
    ADD CONSTRAINT call_grams_seq_fkey FOREIGN KEY (seq) REFERENCES public.calls(seq) ON DELETE CASCADE;
ALTER TABLE ONLY public.call_stages
    ADD CONSTRAINT call_stages_seq_fkey FOREIGN KEY (seq) REFERENCES public.calls(seq) ON DELETE CASCADE;
ALTER TABLE ONLY public.call_texts
    ADD CONSTRAINT call_texts_seq_fkey FOREIGN KEY (seq) REFERENCES public.calls(seq) ON DELETE CASCADE;
ALTER TABLE ONLY public.call_verdicts
    ADD CONSTRAINT call_verdicts_seq_fkey FOREIGN KEY (seq) REFERENCES public.calls(seq) ON DELETE CASCADE;
ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT idempotency_keys_seq_fkey FOREIGN KEY (seq) REFERENCES public.calls(seq) ON DELETE CASCADE;
