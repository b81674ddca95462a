// Events that could not be processed, each with its reason.
import { html } from "../html.js";
import { get, may, post, replayPath } from "../api.js";
import { t, time } from "../i18n.js";
import { useAction } from "../load.js";
import { Fresh, More, usePager } from "../pager.js";
import { Busy, Empty, Failure, Said, View, When } from "../ui.js";

const refresh = 15_000;

function pretty(text) {
	try {
		return JSON.stringify(JSON.parse(text), null, 2);
	} catch {
		return text;
	}
}

function Letter({ letter: d, reload }) {
	const [again, { busy, error }] = useAction(async () => {
		await post(replayPath(d.id));
		await reload();
	});
	return html`
		<li class="panel">
			<p class="meta">
				<strong>${d.detail_type}</strong>
				${" "}
				<span class="muted">${time(d.at, { seconds: true })}</span>
			</p>
			<p class="mend"><${Said} text=${d.reason} /></p>
			<details>
				<summary>${t("rejected.detail")}</summary>
				<pre tabindex="0" aria-label=${t("rejected.detail")}>${pretty(d.detail)}</pre>
			</details>
			${d.replayed_at
				? html`
						<p class="muted">
							${t("rejected.replayed")}${" "}
							<${When} at=${d.replayed_at} />
						</p>
					`
				: may("dead_letters") &&
					html`
						<p>
							<button
								type="button"
								class="small"
								disabled=${busy}
								onClick=${again}
								aria-label=${t("rejected.replay.of", {
									what: d.detail_type,
									at: time(d.at, { seconds: true }),
								})}
							>
								<${Busy} on=${busy}>${t("rejected.replay")}<//>
							</button>
						</p>
					`}
			${error &&
			html`
				<${Failure} error=${error} />
			`}
		</li>
	`;
}

export function Rejected() {
	const pager = usePager(
		"rejected",
		async (query, signal) => (await get("/v1/dead-letters", { signal, query })).body,
		{ every: refresh },
	);
	const load = pager.load;
	return html`
		<h1 tabindex="-1">${t("nav.rejected")}</h1>
		<p class="muted">${t("rejected.lead")}</p>
		<${Fresh} pager=${pager} />
		<${View} load=${load}>
			${(data) =>
				data.items.length
					? html`
							<ul class="rejected">
								${data.items.map(
									(d) => html`
										<${Letter} key=${d.id} letter=${d} reload=${load.reload} />
									`,
								)}
							</ul>
							<${More} pager=${pager} />
						`
					: html`
							<${Empty} icon="check" title=${t("rejected.empty")} />
						`}
		<//>
	`;
}
