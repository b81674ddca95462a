// The addresses that requests come from: a page for who keeps a firewall, and a part of the set-up notes of a system.
import { html } from "../html.js";
import { get } from "../api.js";
import { t } from "../i18n.js";
import { useLoad } from "../load.js";
import { Copy, Empty, Notice, Pill, View } from "../ui.js";

const read = async (signal) => (await get("/v1/egress-addresses", { signal })).body.addresses;

const lines = (addresses) => addresses.map((a) => a.address).join("\n");

export function Addresses() {
	const load = useLoad("addresses", read);
	return html`
		<h1 tabindex="-1">${t("addresses.title")}</h1>
		<${View} load=${load}>
			${(all) =>
				all.length
					? html`
							<p class="muted">${t("addresses.lead")}</p>
							<div class="table-box">
								<table class="log">
									<caption class="visually-hidden">${t("addresses.title")}</caption>
									<thead>
										<tr>
											<th scope="col">${t("addresses.address")}</th>
											<th scope="col">${t("addresses.region")}</th>
											<th scope="col">${t("addresses.purpose")}</th>
										</tr>
									</thead>
									<tbody>
										${all.map(
											(a) => html`
												<tr key=${a.address}>
													<td><code>${a.address}</code></td>
													<td>${a.region || "–"}</td>
													<td>
														<${Pill}
															kind=${a.purpose === "spare" ? "off" : "ok"}
															icon=${a.purpose === "spare" ? "pause" : "check"}
														>
															${t(`addresses.${a.purpose}`)}
														<//>
													</td>
												</tr>
											`,
										)}
									</tbody>
								</table>
							</div>
							<p><${Copy} text=${lines(all)}>${t("action.copy")}<//></p>
							${all.some((a) => a.purpose === "spare") &&
							html`
								<${Notice}><p>${t("addresses.spare.what")}</p><//>
							`}
						`
					: html`
							<${Empty} icon="info" title=${t("addresses.none.title")}><p>${t("addresses.none")}</p><//>
						`}
		<//>
	`;
}

// Admitted is what the set-up notes of a system say of them.
export function Admitted({ system }) {
	const load = useLoad("addresses", read);
	return html`
		<aside class="setup" aria-label=${t("addresses.title")}>
			<h2>${t("addresses.title")}</h2>
			<${View} load=${load} count="1">
				${(all) =>
					all.length
						? html`
								<p>${t("addresses.admit", { system: system.title })}</p>
								<ul class="plain">
									${all.map(
										(a) => html`
											<li key=${a.address}>
												<code>${a.address}</code>
												${a.purpose === "spare" &&
												html`
													${" "}
													<span class="muted">${t("addresses.spare")}</span>
												`}
											</li>
										`,
									)}
								</ul>
								<p>
									<${Copy} text=${lines(all)}>${t("action.copy")}<//>
									${" "}
									<a href="/addresses">${t("addresses.more")}</a>
								</p>
							`
						: html`
								<p class="muted">${t("addresses.none")}</p>
							`}
			<//>
		</aside>
	`;
}
