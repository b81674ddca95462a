// Reads Adaptive Cards with Microsoft's library, as Teams does: cards.cjs <folder of request bodies>.
"use strict";
const fs = require("fs");
const path = require("path");
const { AdaptiveCard, SerializationContext, Version } = require("adaptivecards/dist/adaptivecards.js");

// The newest version that Teams shows. Microsoft, "Design Adaptive Cards for your Teams app".
const newest = new Version(1, 5);

// faults says what the library finds wrong with a message.
function faults(message) {
	const out = [];
	const [attachment] = message.attachments;
	if (message.type !== "message" || message.attachments.length !== 1) out.push("is no message with one attachment");
	if (attachment.contentType !== "application/vnd.microsoft.card.adaptive") out.push("has a wrong content type");
	const context = new SerializationContext(newest);
	const card = new AdaptiveCard();
	card.parse(attachment.content, context);
	for (let i = 0; i < context.eventCount; i++) out.push(context.getEventAt(i).message);
	for (const e of card.validateProperties().validationEvents) out.push(e.message);
	const written = JSON.stringify(texts(attachment.content));
	const read = JSON.stringify(texts(card.toJSON()));
	if (written !== read) out.push("texts were lost: " + written + " became " + read);
	if (card.getActionCount() !== (attachment.content.actions || []).length) out.push("actions were lost");
	return out;
}

// texts lists the texts of a card in their order. A run that has only a text may be written as a string.
function texts(node) {
	if (Array.isArray(node)) return node.flatMap(texts);
	if (node === null || typeof node !== "object") return [];
	const inlines = (node.inlines || []).map((r) => (typeof r === "string" ? r : r.text));
	return [...inlines, ...texts(node.items), ...texts(node.body)];
}

// The check itself must be able to fail.
for (const [name, body] of Object.entries({
	"an unknown element": [{ type: "TextBlok", text: "x" }],
	"an unknown size": [{ type: "RichTextBlock", inlines: [{ type: "TextRun", text: "x", size: "huge" }] }],
	"an unknown inline": [{ type: "RichTextBlock", inlines: [{ type: "Text", text: "x" }] }],
})) {
	const content = { type: "AdaptiveCard", version: "1.4", body };
	if (faults({ type: "message", attachments: [{ contentType: "application/vnd.microsoft.card.adaptive", content }] }).length === 0) {
		console.error(`the check does not see ${name}`);
		process.exit(1);
	}
}

const folder = process.argv[2];
let bad = 0;
const files = fs.readdirSync(folder);
for (const file of files) {
	const found = faults(JSON.parse(fs.readFileSync(path.join(folder, file), "utf8")));
	for (const f of found) console.error(`${file}: ${f}`);
	bad += found.length;
}
if (files.length < 100) {
	console.error(`only ${files.length} messages were written: the suite has more`);
	bad++;
}
console.log(`${files.length} Teams messages read with adaptivecards: ${bad} faults`);
process.exit(bad === 0 ? 0 : 1);
