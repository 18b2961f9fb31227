// What was sent with a call and is not in its head, and who was told of its result.

import { fill, h } from "./dom.js";
import { moment, named, t } from "./language.js";

export class Facts {
  constructor() {
    this.list = h("dl");
    this.title = h("summary");
    this.node = h("details", { class: "facts" }, this.title, this.list);
  }

  show(call) {
    const { metadata, recording } = call;
    const told = [
      ["call.received", moment(call.created_at)],
      ["call.size", t("call.bytes", { n: (recording.bytes / 1e6).toFixed(1) })],
      ["field.customer_type", metadata.customer_type && named("customer", metadata.customer_type)],
      ["field.language", metadata.language && named("spoken", metadata.language)],
      ["field.channels", metadata.channels && named("channels", metadata.channels)],
      ["field.priority", named("priority", metadata.priority)],
      ["field.rule_set", metadata.rule_set],
      ["field.hotwords", metadata.hotwords],
      ["field.webhook_url", metadata.webhook_url],
      ["webhook.title", metadata.webhook_url && toldOf(call.webhook)],
      ["field.agent_url", metadata.agent_url],
      ["field.agent_request_format", metadata.agent_url && named("format", metadata.agent_request_format)],
    ];
    fill(this.title, t("call.facts"));
    fill(this.list, ...told.filter(([, value]) => value).flatMap(([name, value]) => [h("dt", null, t(name)), h("dd", null, value)]));
  }
}

function toldOf(webhook) {
  if (!webhook || (!webhook.delivered && webhook.attempts === 0)) return t("webhook.pending");
  const parts = { revision: webhook.revision, n: webhook.attempts, why: webhook.error ?? webhook.last_status ?? "" };
  return t(webhook.delivered ? "webhook.delivered" : "webhook.failed", parts);
}
