require('reflect-metadata');
const { Module } = require('@nestjs/common');
const { NestFactory } = require('@nestjs/core');
const { CqrsModule, EventsHandler } = require('@nestjs/cqrs');
const { TypeOrmModule } = require('@nestjs/typeorm');
const { DataSource } = require('typeorm');
const eventStore = require('nest-event-store');
const { appendAndRead } = require('./application.cjs');

void appendAndRead({
  Module,
  NestFactory,
  CqrsModule,
  EventsHandler,
  TypeOrmModule,
  DataSource,
  ...eventStore,
});
