// What the filters of an integration are, and how many events each left out.
import { html } from "../html.js";
import { get, integrationPath } from "../api.js";
import { t } from "../i18n.js";
import { useLoad } from "../load.js";
import { View } from "../ui.js";
import { narrowed } from "./filter-rows.js";

export function LeftOut({ integration: i, rules }) {
	const load = useLoad(
		`left out ${i.id} ${i.revision}`,
		async (signal) => (await get(integrationPath(i.id, "/left-out"), { signal })).body,
	);
	return html`
		<section class="panel uses" aria-label=${t("left_out.title")}>
			<h2>${t("left_out.title")}</h2>
			<${View} load=${load} count="2">
				${({ stopped }) => html`
					<ul>
						${i.filters.map(
							(f) => html`
								<li key=${f.id}>
									${t("left_out.of", {
										filter: narrowed(f, rules),
										n: stopped.find((s) => s.filter === f.id)?.events ?? 0,
									})}
								</li>
							`,
						)}
					</ul>
					<p class="muted">${t("left_out.note")}</p>
				`}
			<//>
		</section>
	`;
}
