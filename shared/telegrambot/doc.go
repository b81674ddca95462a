// Package telegrambot is the platform's Telegram bot. It binds chats to integrations: an administrator asks for a link,
// opens it in Telegram, and the chat in which it was opened is the one that the integration writes to. It also follows
// a chat: a group that becomes a supergroup, and a bot that is removed from a chat and comes back.
//
// Telegram brings what happens (updates) to a webhook of the API, or, where nothing can call in, the bot asks for it
// (long polling). A link holds a signed token: it names the integration, ends after 15 minutes, and is good for one
// use, because a token that was used stands in the group for everybody to read.
package telegrambot
