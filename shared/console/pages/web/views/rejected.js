// Events that could not be processed, each with its reason.
import { html, useState } from "../html.js";
import { get } from "../api.js";
import { t, time } from "../i18n.js";
import { useLoad } from "../load.js";
import { Empty, Said, View } from "../ui.js";

const refresh = 15_000;

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

export function Rejected() {
  const [pages, setPages] = useState(1);
  const load = useLoad(`rejected ${pages}`, async (signal) => {
    const items = [];
    let next = "";
    for (let n = 0; n < pages && (n === 0 || next); n++) {
      const { body } = await get("/v1/dead-letters", { signal, query: { cursor: next } });
      items.push(...body.items);
      next = body.next_cursor;
    }
    return { items, more: Boolean(next) };
  }, { every: refresh });
  return html`<h1 tabindex="-1">${t("nav.rejected")}</h1><p class="muted">${t("rejected.lead")}</p>
    <${View} load=${load.data || load.error ? load : { ...load, data: load.stale }}>${(data) => (data.items.length ? html`<ul class="rejected">${data.items.map((d) => html`<li key=${d.id} class="panel">
      <p class="meta"><strong>${d.detail_type}</strong> <span class="muted">${time(d.at, { seconds: true })}</span></p><p class="mend"><${Said} text=${d.reason} /></p>
      <details><summary>${t("rejected.detail")}</summary><pre tabindex="0" aria-label=${t("rejected.detail")}>${pretty(d.detail)}</pre></details></li>`)}</ul>
      ${data.more && html`<p class="more"><button type="button" onClick=${() => setPages(pages + 1)}>${t("more")}</button></p>`}` : html`<${Empty} icon="check" title=${t("rejected.empty")} />`)}<//>`;
}
